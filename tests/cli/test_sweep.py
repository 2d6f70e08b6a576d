"""`hornbook sweep`, and `hornbook train --seeds`."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

from hornbook.cli.sweep import split_values
from tests.cli.common import SMALL, Cap, run
from tests.conftest import strict

MLP = [
    "--model", "mlp", "--steps", "4", "--training.eval-count", "1", "--training.sample-count", "0",
    "--precision", "fp32", "--threads", "1",
]  # fmt: skip


def test_settings_with_commas_are_varied_and_ranges_are_searched() -> None:
    single, over = split_values(
        {"data": {"corpus": "a,b.txt"}, "model": {"name": "mlp,rnn", "n_layer": 2},
         "optim": {"learning_rate": "1e-4..1e-2", "warmup": "0,5"}}
    )  # fmt: skip
    assert single == {"data": {"corpus": "a,b.txt"}, "model": {"n_layer": 2}, "optim": {}}
    assert over == {
        "model.name": ["mlp", "rnn"], "optim.learning_rate": "1e-4..1e-2", "optim.warmup": [0, 5],
    }  # fmt: skip


def test_a_sweep_prints_its_table_and_does_nothing_twice(
    capsys: Cap, words_file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "s"
    command = ["sweep", words_file, *MLP, "--lr", "0.01,0.1", "--seeds", "1,2", "--out", out]
    code, printed, err = run(capsys, *command)
    assert code == 0, err
    assert "run 4 of 4: learning_rate=0.1/seed-2" in err
    for word in ("sd of seeds", "2 seeds in pairs", "is the best of 2 settings", f"compare {out}"):
        assert word in printed, word
    code, again, err = run(capsys, *command)
    assert err.count("finished before") == 4
    assert again == printed
    code, text, _ = run(capsys, *command, "--json")
    found = strict(text)
    assert [group["seeds"] for group in found["groups"]] == [[1, 2], [1, 2]]
    assert found["differences"][0]["p"] > 0


def test_train_with_seeds_makes_a_group(capsys: Cap, words_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "three"
    code, printed, err = run(capsys, "train", words_file, *MLP, "--seeds", "1,2,3", "--out", out)
    assert code == 0, err
    assert sorted(path.name for path in out.glob("seed-*")) == ["seed-1", "seed-2", "seed-3"]
    assert "3 seeds, mean validation loss" in printed
    code, compared, err = run(capsys, "compare", *sorted(out.iterdir()))  # as DIR/* in a shell
    assert code == 0, err
    assert f"{out}/sweep.json: skipped: a file, not a run directory" in err
    assert "1 2 3" in compared
    code, _, err = run(capsys, "train", "--resume", out / "seed-1", "--seeds", "1,2")
    assert code == 2
    assert "--seeds: found it beside --resume" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--lr", "0.01"], "found no setting with several values; give some with commas"),
        (["--seeds", "1,x"], "seeds: found '1,x', expected whole numbers with commas"),
        (["--lr", "1e-3..1e-1"], "give the number of trials"),
        (["--layers", "1,2", "--seed", "1", "--seeds", "1,2"], "seeds: found them beside seed"),
        (["--lr", "0.1", "0.2"], "several values have commas between them: --lr 0.01,0.02"),
        (["--seed", "1,2"], "found several values; give them as --seeds 1,2,3"),
    ],
)  # fmt: skip
def test_what_cannot_be_swept_is_said(
    capsys: Cap, words_file: Path, tmp_path: Path, words: list[str], message: str
) -> None:
    code, _, err = run(capsys, "sweep", words_file, *SMALL[4:], *words, "--out", tmp_path / "x")
    assert code == 2
    assert message in err
    assert not (tmp_path / "x").exists()


def test_a_search_without_optuna_says_how_to_install_it(
    capsys: Cap, words_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = importlib.import_module

    def missing(name: str, *rest: Any) -> Any:
        if name == "optuna":
            raise ImportError(name)
        return known(name, *rest)

    monkeypatch.setattr(importlib, "import_module", missing)
    code, _, err = run(capsys, "sweep", words_file, "--lr", "1e-3..1e-1", "--trials", "3")
    assert code == 2
    assert "pip install 'hornbook[sweep]'" in err
