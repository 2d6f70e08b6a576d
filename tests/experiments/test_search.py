"""Ranges, and what optuna proposes."""

from __future__ import annotations

import importlib
import math
from pathlib import Path
from typing import Any

import pytest

import hornbook
from hornbook.errors import ConfigError
from hornbook.experiments.search import Range, Search
from tests.conftest import WORDS


def test_a_range_is_whole_or_by_ratio_where_its_ends_are() -> None:
    rates = Range.parse("optim.learning_rate", "1e-4..1e-2")
    assert (rates.low, rates.high, rates.whole, rates.by_ratio) == (1e-4, 1e-2, False, True)
    assert rates.rounded(0.00123456) == 0.00123
    assert rates.rounded(0.0100001) == 0.01
    layers = Range.parse("model.n_layer", "2..8")
    assert (layers.whole, layers.by_ratio) == (True, False)
    for wrong in ("8..2", "a..b", "1..", "1..inf", "3"):
        with pytest.raises(
            ConfigError, match=r"model.n_layer: found .*expected a range of numbers"
        ):
            Range.parse("model.n_layer", wrong)


def test_without_optuna_the_line_that_installs_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ConfigError, match=r"pip install 'hornbook\[sweep\]'"):
        Search({"optim.learning_rate": Range(1e-4, 1e-2)})


def test_a_search_finds_the_low_end_of_a_bowl_and_repeats_itself() -> None:
    pytest.importorskip("optuna")
    space = {"optim.learning_rate": Range(1e-4, 1.0), "model.kind": ["a", "b"]}

    def loss(point: dict[str, Any]) -> float:
        return abs(math.log10(point["optim.learning_rate"]) + 2) + (point["model.kind"] == "b")

    def tried(
        n: int, before: list[tuple[dict[str, Any], float]]
    ) -> list[tuple[dict[str, Any], float]]:
        found = list(before)
        for _ in range(n - len(before)):
            point = Search(space).propose(found)
            found.append((point, loss(point)))
        return found

    found = tried(25, [])
    assert all(1e-4 <= point["optim.learning_rate"] <= 1 for point, _ in found)
    assert min(value for _, value in found) < 0.2
    assert tried(25, found[:11]) == found  # continued as without an interruption
    assert Search(space).propose([(found[0][0], math.inf)])  # one that diverged


def test_a_search_that_was_stopped_continues(tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    (tmp_path / "words.txt").write_text("\n".join(WORDS * 3))
    options: dict[str, Any] = {
        "over": {"optim.learning_rate": "1e-3..1e-1", "model.n_hidden": "4..8"},
        "model": "mlp", "steps": 3, "seeds": (1,),
        "settings": {"training.eval_count": 1, "training.sample_count": 0, "training.threads": 1,
                     "training.precision": "fp32", "training.compile": "no"},
    }  # fmt: skip
    corpus = str(tmp_path / "words.txt")
    hornbook.sweep(corpus, trials=2, out=tmp_path / "cut", **options)
    said: list[str] = []
    cut = hornbook.sweep(corpus, trials=4, out=tmp_path / "cut", on_message=said.append, **options)
    whole = hornbook.sweep(corpus, trials=4, out=tmp_path / "whole", **options)
    assert said[0].endswith("finished before")
    assert [r.validation for r in cut.results] == [r.validation for r in whole.results]
