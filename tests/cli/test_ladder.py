"""`hornbook ladder` (what it trains: tests/experiments/test_ladder.py)."""

from __future__ import annotations

from pathlib import Path

from tests.cli.common import Cap, run
from tests.conftest import strict


def test_rungs_are_trained_with_the_settings_given(
    words_file: Path, tmp_path: Path, capsys: Cap
) -> None:
    words = ["ladder", words_file, "--rungs", "counts-2,bigram", "--out", tmp_path / "l"]
    words += ["--steps", "2", "--optim.final", "0.5"]
    code, out, err = run(capsys, *words, "--json")
    assert code == 0, err
    assert "note  optim.final is now optim.min_lr_ratio" in err
    rows = {row["name"]: row for row in strict(out)["standings"]}
    assert set(rows) == {"counts-2", "bigram"}
    code, again, _ = run(capsys, *words)  # finished rungs are not trained again
    assert code == 0
    assert f"{rows['bigram']['validation']:.4f}" in again


def test_seeds_of_a_ladder_point_to_a_sweep(capsys: Cap) -> None:
    code, _, err = run(capsys, "ladder", "names", "--seeds", "1,2")
    assert code == 2
    assert "each rung once" in err
    assert "`hornbook sweep CORPUS --model gpt,mlp --seeds 1,2,3`" in err
