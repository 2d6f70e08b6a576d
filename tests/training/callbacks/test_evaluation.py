"""Evaluations: when, with which weights, and which weights are kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hornbook.files import read_tensors
from hornbook.metrics.loss import evaluate, token_nats
from hornbook.planning.plan import Plan
from hornbook.planning.request import read_request
from hornbook.planning.resolve import resolve
from hornbook.training.callbacks.base import Callback
from hornbook.training.callbacks.evaluation import Evaluator
from hornbook.training.callbacks.logging import LogWriter
from tests.training.helpers import Clock, small, trainer_of


def test_it_measures_the_whole_part_and_takes_no_time_of_the_steps(
    plan_of: Callable[..., Plan], tmp_path: Path
) -> None:
    clock = Clock()

    class Slow(Callback):
        def pre_evaluate(self) -> None:
            clock.seconds += 1000.0

    with trainer_of(
        plan_of(), tmp_path / "r", [Evaluator(3), LogWriter(), Slow()], now=clock
    ) as trainer:
        trainer.train()
        records = [r for r in trainer.run.log if "val_loss" in r]
        assert [r["step"] for r in records] == [0, 4, 8, 12]
        assert {r["seconds"] for r in records} == {0.0}
        assert trainer.clock.last["evaluation"] == 1000.0


def test_the_losses_of_the_weights_that_are_kept_are_known(
    plan_of: Callable[..., Plan], tmp_path: Path
) -> None:
    evaluator = Evaluator(3)
    with trainer_of(plan_of(), tmp_path / "r", [evaluator, LogWriter()]) as trainer:
        trainer.train()
        part = trainer.plan.data.validation
        assert evaluator.best_nats is not None
        assert np.array_equal(evaluator.best_nats, token_nats(trainer.run.model, part))


def test_the_loss_of_answers_is_the_mean_over_their_tokens(tmp_path: Path) -> None:
    path = tmp_path / "sums.jsonl"
    pairs = [{"prompt": f"{i}+1=", "completion": str(i + 1)} for i in range(40)]
    path.write_text("".join(f"{json.dumps(pair)}\n" for pair in pairs))
    plan = resolve(read_request(str(path), model="bigram", settings=small("bigram", steps=4)))
    with trainer_of(plan, tmp_path / "r", [Evaluator(2), LogWriter()]) as trainer:
        trainer.train()
        best = min(r["val_loss"] for r in trainer.run.log if r.get("val_loss") and r["step"])
        assert best == pytest.approx(evaluate(trainer.run.model, plan.data.validation).nats)


def test_the_counts_that_a_hybrid_begins_as_are_kept_where_no_step_is_better(
    tmp_path: Path, words_file: Path
) -> None:
    settings = small("hybrid", steps=4)
    settings["optim"] = {"learning_rate": 30.0, "muon_learning_rate": 30.0}
    plan = resolve(read_request(str(words_file), model="hybrid", settings=settings))
    evaluator = Evaluator(2)
    with trainer_of(plan, tmp_path / "r", [evaluator, LogWriter()]) as trainer:
        trainer.train()
        assert trainer.state.history.best_step == 0
        counts = trainer.run.model.parts["counts"]
        assert evaluator.best_nats is not None
        expected = token_nats(counts, plan.data.validation).mean()
        assert evaluator.best_nats.mean() == pytest.approx(expected, abs=1e-4)


def test_both_losses_are_measured_before_the_first_step_and_at_each_evaluation(
    plan_of: Callable[..., Plan], tmp_path: Path
) -> None:
    losses: list[tuple[float, float]] = []

    class Measure(Callback):
        def on_log(self, record: Mapping[str, Any]) -> None:
            if "val_loss" in record:
                model, data = self.trainer.step.model, self.trainer.plan.data
                losses.append(
                    (evaluate(model, data.train).nats, evaluate(model, data.validation).nats)
                )

    callbacks = [Evaluator(3), LogWriter(), Measure()]
    with trainer_of(plan_of(), tmp_path / "r", callbacks) as trainer:
        trainer.train()
        records = [r for r in trainer.run.log if "val_loss" in r]
        history = trainer.state.history
    assert [r["step"] for r in records] == [0, 4, 8, 12]
    # the training part is smaller than the sample, so that the estimate is exact
    for record, (train, validation) in zip(records, losses, strict=True):
        assert record["train_loss"] == pytest.approx(train, abs=1e-6)
        assert record["val_loss"] == pytest.approx(validation, abs=1e-6)
    assert records[0]["loss"] is None
    assert history.seen == [(r["step"], r["train_loss"], r["val_loss"]) for r in records[1:]]


def test_the_training_loss_is_that_of_one_sample_throughout(
    plan_of: Callable[..., Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hornbook.planning.plan.TRAINING_SAMPLE", 100)
    plan = plan_of()
    assert 0 < sum(p.n_targets for p in plan.training_sample) <= 100
    again = plan_of(seed=5)
    for one, other in zip(plan.training_sample, again.training_sample, strict=True):
        assert one.tokens.tolist() == other.tokens.tolist()


def test_nothing_is_measured_twice_where_nothing_is_held_out(words_file: Path) -> None:
    settings = small("bigram") | {"data": {"validation": 0.0}}
    plan = resolve(read_request(str(words_file), model="bigram", settings=settings))
    assert plan.training_sample == []
    assert plan.tokens_per_evaluation == plan.data.validation.n_targets


@pytest.mark.parametrize("ema_decay", [0.0, 0.9])
def test_the_weights_that_were_evaluated_are_kept_and_those_of_training_put_back(
    ema_decay: float, plan_of: Callable[..., Plan], tmp_path: Path
) -> None:
    seen: list[torch.Tensor] = []

    class Look(Callback):
        def pre_evaluate(self) -> None:
            seen.append(self.weight())

        def on_log(self, record: Mapping[str, Any]) -> None:
            if "val_loss" in record and record["step"]:
                seen.append(self.weight())

        def on_end(self) -> None:
            seen.append(self.weight())

        def weight(self) -> torch.Tensor:
            return self.trainer.step.model.state_dict()["weight"].clone()

    plan = plan_of(eval_count=1, ema_decay=ema_decay)
    with trainer_of(plan, tmp_path / "r", [Evaluator(1), LogWriter(), Look()]) as trainer:
        trainer.train()
        kept = read_tensors(trainer.run.path / "model.safetensors")["weight"]
    trained, evaluated, after = seen
    assert torch.equal(trained, after)
    assert torch.equal(evaluated, kept)
    assert torch.equal(trained, evaluated) == (ema_decay == 0)
