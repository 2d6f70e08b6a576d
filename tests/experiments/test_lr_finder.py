"""The learning-rate sweep."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hornbook.cli.main import main
from hornbook.errors import ConfigError
from hornbook.experiments.lr_finder import Sweep, find_learning_rate, suggest
from hornbook.planning.plan import make_plan


def test_the_suggestion_lies_below_the_lowest_point() -> None:
    rates = np.geomspace(1e-3, 1, 300)
    losses = [2 + (math.log10(rate) + 1) ** 2 for rate in rates]  # lowest at 0.1
    assert suggest(rates, losses) == pytest.approx(0.1 / 3, rel=0.1)
    losses[250:] = [math.inf] * 50
    assert suggest(rates, losses) == pytest.approx(0.1 / 3, rel=0.1)


def test_the_finder_finds_a_rate_that_learns(words_file: Path) -> None:
    plan = make_plan(str(words_file), model="bigram", settings={"training": {"batch_size": 64}})
    before = plan.model.state_dict()["weight"].clone()
    sweep = find_learning_rate(plan, updates=40)
    assert len(sweep.rates) == len(sweep.losses) == 40
    assert sweep.best is not None
    assert sweep.best in [rate for rate, _ in sweep.confirmed]
    assert 1e-3 <= sweep.best <= 1
    assert (plan.model.state_dict()["weight"] == before).all()
    again = find_learning_rate(plan, updates=40)
    assert again == sweep


def test_a_rate_that_learns_nothing_is_not_suggested() -> None:
    none = Sweep((1e-9, 1e-8), (2.0, 2.0), 1e-9, ((1e-9, 2.1), (2e-9, 2.0), (3e-9, math.inf)))
    assert none.best is None
    assert not none.diverged
    assert replace(none, confirmed=((1e-9, 1.9), (1e-8, 1.8))).best == 1e-8


def test_the_finder_refuses_counts(words_file: Path) -> None:
    plan = make_plan(str(words_file), model="ngram")
    with pytest.raises(ConfigError, match="has no learning rate"):
        find_learning_rate(plan)
    assert main(["lr-find", str(words_file), "--low", "1", "--high", "0.1"]) == 2
