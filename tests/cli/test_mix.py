"""`hornbook mix`."""

from __future__ import annotations

from pathlib import Path

import pytest

import hornbook
from hornbook.cli.main import main

Cap = pytest.CaptureFixture[str]


def test_mix_writes_a_run_and_refuses_bad_weights(
    capsys: Cap, words_file: Path, tmp_path: Path
) -> None:
    paths = []
    for order in (1, 2):
        out = tmp_path / f"n{order}"
        hornbook.train(str(words_file), model="ngram", out=out, settings={"model.order": order})
        paths.append(str(out))
    out = str(tmp_path / "m")
    assert main(["mix", *paths, "--weights", "1,x", "--out", out]) == 2
    assert "weights: found '1,x', expected numbers" in capsys.readouterr().err
    assert main(["mix", *paths, "--weights", "1,3", "--out", out]) == 0
    mixed = hornbook.load(out)
    assert mixed.config.model.model_dump()["weights"] == (0.25, 0.75)
    assert f"{mixed.report['validation']['nats']:.4f}" in capsys.readouterr().out
    for command in ("show", "eval", "sample"):
        assert main([command, out]) == 0
    assert main(["mix", *paths, "--out", out]) == 2  # is there already
