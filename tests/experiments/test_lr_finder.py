"""The learning-rate sweep."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hornbook.config import Nested, merge
from hornbook.engine.step import OptimizerStep
from hornbook.errors import ConfigError
from hornbook.experiments.lr_finder import LearningRateSweep, find_learning_rate, suggest
from hornbook.planning.plan import Plan
from hornbook.planning.request import read_request
from hornbook.planning.resolve import resolve

PINNED: Nested = {"training": {"precision": "fp32", "threads": 1, "compile": "no"}}


def plan_of(corpus: Path, settings: Nested) -> Plan:
    """A plan in which nothing is measured."""
    return resolve(read_request(str(corpus), settings=merge(PINNED, settings)))


BIGRAM: Nested = {"model": {"name": "bigram"}, "training": {"batch_size": 64}}


def test_the_suggestion_lies_below_the_lowest_point() -> None:
    rates = np.geomspace(1e-3, 1, 300)
    losses = [2 + (math.log10(rate) + 1) ** 2 for rate in rates]  # lowest at 0.1
    assert suggest(rates, losses) == pytest.approx(0.1 / 3, rel=0.1)
    losses[250:] = [math.inf] * 50
    assert suggest(rates, losses) == pytest.approx(0.1 / 3, rel=0.1)
    assert suggest(rates, [math.inf] * 300) is None
    assert suggest(rates, [math.nan] * 300) is None


def test_the_finder_finds_a_learning_rate_that_learns(words_file: Path) -> None:
    plan = plan_of(words_file, BIGRAM)
    torch.manual_seed(4)
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    sweep = find_learning_rate(plan, steps=40)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads
    assert sweep.rates == pytest.approx(np.geomspace(1e-3, 1.0, 40))
    assert len(sweep.losses) == 40
    assert sweep.best in [rate for rate, _ in sweep.confirmed]
    assert sweep.best is not None
    assert 1e-3 <= sweep.best <= 1
    assert find_learning_rate(plan, steps=40) == sweep


def test_what_is_confirmed_lies_around_the_suggestion(words_file: Path) -> None:
    sweep = find_learning_rate(plan_of(words_file, BIGRAM), steps=40)
    assert sweep.suggested is not None
    rates = [rate / sweep.suggested for rate, _ in sweep.confirmed]
    assert rates == pytest.approx([1 / 3, 1.0, 3.0])


def test_both_learning_rates_of_muon_are_scaled_alike(
    words_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []

    def step(self: OptimizerStep, i: int) -> tuple[torch.Tensor, torch.Tensor]:
        rate, groups = self.learning_rate(i), self.optimizer.param_groups
        tried.append({g.get("muon", False): rate * g.get("scale", 1.0) for g in groups})
        return torch.tensor(9.0 - i / 100), torch.tensor(1.0)

    monkeypatch.setattr(OptimizerStep, "__call__", step)
    muon: Nested = {
        "model": {"name": "gpt", "n_embd": 16, "n_layer": 1, "n_hidden": 16},
        "optim": {"name": "muon", "learning_rate": 0.01, "muon_learning_rate": 0.04},
    }
    sweep = find_learning_rate(plan_of(words_file, muon), steps=20)
    assert sweep.muon == pytest.approx(4.0)
    assert [t[False] for t in tried[:20]] == pytest.approx(list(sweep.rates))
    assert [t[True] for t in tried] == pytest.approx([4 * t[False] for t in tried])


def test_a_sweep_ends_where_it_diverges(words_file: Path) -> None:
    settings: Nested = {
        "model": {"name": "mlp", "init": "naive", "norm": "layernorm"},
        "optim": {"name": "sgd", "grad_clip": 0.0},
    }
    sweep = find_learning_rate(plan_of(words_file, settings), low=1e30, high=1e38, steps=20)
    assert math.isfinite(sweep.losses[0])
    assert sweep.losses[-1] == math.inf
    assert sweep.best is None
    found: dict[str, Any] = json.loads(json.dumps(sweep.to_json(), allow_nan=False))
    assert found["losses"][-1] is None
    assert found["best"] is None


def test_a_learning_rate_that_learns_nothing_is_not_suggested() -> None:
    none = LearningRateSweep(
        (1e-9, 1e-8), (2.0, 2.0), 1e-9, ((1e-9, 2.1), (2e-9, 2.0), (3e-9, math.inf))
    )
    assert none.best is None
    assert not none.diverged
    assert replace(none, confirmed=((1e-9, 1.9), (1e-8, 1.8))).best == 1e-8
    assert replace(none, confirmed=((1e-9, math.inf),)).diverged


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"low": 1.0, "high": 0.1}, "low, high: found 1.0 and 0.1, expected 0 < low < high"),
        ({"low": 0.0}, "expected 0 < low < high"),
        ({"high": math.inf}, "both finite"),
        ({"high": math.nan}, "both finite"),
        ({"steps": 19}, "steps: found 19, expected at least 20"),
    ],
)
def test_sweeps_that_cannot_be_are_refused(
    arguments: dict[str, Any], message: str, words_file: Path
) -> None:
    with pytest.raises(ConfigError, match=message):
        find_learning_rate(plan_of(words_file, BIGRAM), **arguments)


def test_counts_have_no_learning_rate(words_file: Path) -> None:
    with pytest.raises(ConfigError, match="has no learning rate"):
        find_learning_rate(plan_of(words_file, {"model": {"name": "ngram"}}))
