"""The experiments of the notes: what they print holds, and each draws a picture."""

from __future__ import annotations

import re
import runpy
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def load(name: str) -> dict[str, Any]:
    return runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="example")


def test_initialization_through_depth(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    load("initialization")["main"](tmp_path / "p.png")
    out = capsys.readouterr().out
    naive, small, gained, batchnorm = out.split("\n\n")[:4]
    assert "initialization too large" in naive
    assert "initialization too small" in small
    for good in (gained, batchnorm):
        assert "none saturated, inactive or dead" in good
    growth = [
        float(re.findall(r"gradients at layer 1 are ([0-9.e-]+) times", part)[0])
        for part in (naive, small, gained, batchnorm)
    ]
    assert growth[0] > 10  # they grow on the way back
    assert growth[1] < 0.1  # and vanish: 0.5 to the power of 4
    assert all(0.5 < times < 2 for times in growth[2:])
    shares = [
        [float(share) for share in re.findall(r"saturated +([0-9.]+)%", part)]
        for part in (naive, gained)
    ]
    assert min(shares[0]) > 60
    # the lecture printed 20.25, 8.38, 6.62, 5.47 and 6.12 per cent
    assert shares[1] == pytest.approx([20.25, 8.38, 6.62, 5.47, 6.12], abs=2.5)
    assert (tmp_path / "p.png").read_bytes()[1:4] == b"PNG"


def test_noise_falls_with_the_root_of_the_batch(tmp_path: Path) -> None:
    lines = load("batch_noise")["main"](tmp_path / "p.png", steps=20, batches=16)
    for values in lines.values():
        for large, small in pairwise(values):
            assert large / small == pytest.approx(2.0, rel=0.25)  # four times the examples
    assert (tmp_path / "p.png").exists()


def test_attention_is_scaled_for_a_reason(tmp_path: Path) -> None:
    load("attention_scaling")["main"](tmp_path / "p.png")
    assert (tmp_path / "p.png").exists()
