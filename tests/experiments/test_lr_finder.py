"""The learning-rate sweep."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hornbook.cli.main import main
from hornbook.engine.step import TrainStep
from hornbook.errors import ConfigError
from hornbook.experiments.lr_finder import Sweep, find_learning_rate, suggest
from hornbook.planning.plan import make_plan
from tests.conftest import strict


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


def test_a_sweep_that_only_diverges_suggests_nothing(
    words_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["lr-find", str(words_file), "--model", "mlp", "--updates", "20", "--optim.name", "sgd",
             "--optim.grad-clip", "0", "--model.init", "naive", "--low", "1e30", "--high", "1e38",
             "--model.norm", "layernorm"]  # fmt: skip
    assert main([*words, "--out", str(tmp_path / "p.png")]) == 0
    told = capsys.readouterr().out
    assert "every rate diverged: no rate is suggested" in told
    assert "best" not in told
    assert "inf" not in told
    assert main([*words, "--json"]) == 0
    found = strict(capsys.readouterr().out)
    assert found["best"] is None


def test_a_rate_that_learns_nothing_is_not_suggested() -> None:
    none = Sweep((1e-9, 1e-8), (2.0, 2.0), 1e-9, ((1e-9, 2.1), (2e-9, 2.0), (3e-9, math.inf)))
    assert none.best is None
    assert not none.diverged
    assert replace(none, confirmed=((1e-9, 1.9), (1e-8, 1.8))).best == 1e-8


def test_the_curve_of_a_sweep_shows_rates(
    words_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["lr-find", str(words_file), "--model", "bigram", "--updates", "40"]
    assert main([*words, "--low", "0.01", "--high", "10"]) == 0
    told = capsys.readouterr().out
    axis = next(line for line in told.splitlines() if "learning rate (log)" in line)
    assert axis.split()[:2] == ["0.01", "10"]
    assert "validation" not in told
    for high in ("inf", "nan", "0.001"):
        assert main([*words, "--high", high]) == 2
        assert "expected 0 < low < high" in capsys.readouterr().err


def test_what_the_finder_advises_is_what_it_tried(
    words_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tried = []

    def step(self: TrainStep, i: int) -> tuple[torch.Tensor, torch.Tensor]:
        rate = self.learning_rate(i)
        groups = self.optimizer.param_groups
        tried.append({g.get("muon", False): rate * g.get("scale", 1.0) for g in groups})
        return torch.tensor(9.0 - i / 100), torch.tensor(1.0)

    monkeypatch.setattr(TrainStep, "__call__", step)
    words = ["lr-find", str(words_file), "--updates", "20", "--optim.muon-learning-rate", "0.04"]
    assert main(words) == 0
    words = capsys.readouterr().out.split()
    rates = [float(words[words.index(f"--optim.{m}learning-rate") + 1]) for m in ("", "muon-")]
    assert any(rates == pytest.approx([t[False], t[True]], rel=0.05) for t in tried)


@pytest.mark.parametrize("verb", ["lr-find", "compare"])
def test_a_picture_with_no_place_is_refused_before_anything_is_computed(
    verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["names"] if verb == "lr-find" else ["no", "runs"]
    assert main([verb, *asked, "--out", str(tmp_path / "none" / "x.png")]) == 2
    assert "is no directory" in capsys.readouterr().err


def test_the_finder_refuses_counts(words_file: Path) -> None:
    plan = make_plan(str(words_file), model="ngram")
    with pytest.raises(ConfigError, match="has no learning rate"):
        find_learning_rate(plan)
    assert main(["lr-find", str(words_file), "--low", "1", "--high", "0.1"]) == 2
