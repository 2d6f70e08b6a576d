"""`hornbook mix`."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

import hornbook
from hornbook.cli.main import main
from hornbook.runs.verdict import verdict_commands

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
    own = mixed.report["validation"]
    expected = f"{own['nats']:.4f} nats per token, {own['bits_per_byte']:.4f} bits per byte"
    assert f"{out}   {expected}" in capsys.readouterr().out
    for command in ("show", "eval", "sample"):
        assert main([command, out]) == 0
    assert main(["mix", *paths, "--out", out]) == 2  # is there already


def test_what_a_summary_offers_works_as_it_is_printed(
    capsys: Cap, words_file: Path, tmp_path: Path
) -> None:
    run = hornbook.train(str(words_file), model="bigram", out=tmp_path / "a b", steps=5)
    report = {**run.report, "mixture": {"weights": [0.15, 0.85], "loss": 1.0, "gain": 0.1}}
    (command,) = verdict_commands(run, report)
    assert main(shlex.split(command)[1:]) == 0
    capsys.readouterr()
    mixed = hornbook.load(tmp_path / "a b-mixture")
    assert mixed.config.model.model_dump()["weights"] == (0.15, 0.85)
    counted = {**report, "mixture": None, "verdict": {"word": "counts are better"}}
    (command,) = verdict_commands(run, counted)
    assert main([*shlex.split(command)[1:], "--out", str(tmp_path / "counts")]) == 0
    assert main(["mix", str(run.path), "--counts", "x", "--out", str(tmp_path / "y")]) == 2
    assert main(["mix", str(run.path), "--counts", "99", "--out", str(tmp_path / "y")]) == 2
    err = capsys.readouterr().err
    assert "Traceback" not in err
