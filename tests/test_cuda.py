"""What can only be seen on a GPU: `pytest -m cuda`, skipped elsewhere."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

import hornbook
from hornbook.config import Nested
from tests.conftest import WORDS

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="found no CUDA device"),
]

SMALL: Nested = {
    "model": {"name": "gpt", "n_layer": 2, "n_embd": 64, "n_hidden": 128},
    "training": {"device": "cuda", "steps": 12, "eval_count": 2, "batch_size": 16},
}


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "words.txt"
    path.write_text("\n".join(word + str(i) for i in range(60) for word in WORDS) + "\n")
    return path


def trained(corpus: Path, out: Path, **training: object) -> hornbook.Run:
    settings = {**SMALL, "training": {**SMALL["training"], **training}}
    return hornbook.train(str(corpus), out=out, settings=settings, progress=False)


def test_a_run_on_the_device_has_the_losses_of_one_on_the_cpu(corpus: Path, tmp_path: Path) -> None:
    runs = [
        trained(corpus, tmp_path / device, device=device, precision="fp32", seed=1)
        for device in ("cpu", "cuda")
    ]
    losses = [[r["loss"] for r in run.log if r["loss"] is not None] for run in runs]
    assert losses[0] == pytest.approx(losses[1], rel=1e-2)


@pytest.mark.parametrize("compile_", ["yes", "no"])
def test_bf16_trains_compiled_and_not(corpus: Path, tmp_path: Path, compile_: str) -> None:
    run = trained(corpus, tmp_path / "run", precision="bf16", compile=compile_)
    last = [r["loss"] for r in run.log if r["loss"] is not None][-1]
    assert math.isfinite(last)
    assert last < 4
    assert run.log[-1]["memory"] > 0


def test_a_run_is_resumed_and_sampled(corpus: Path, tmp_path: Path) -> None:
    run = trained(corpus, tmp_path / "run")
    more = hornbook.resume(run.path, steps=16, progress=False)
    assert more.report["steps"] == 16
    assert len(more.sample(5)) == 5
