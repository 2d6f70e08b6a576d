"""Evaluations: when, with which weights, and which weights are kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from hornbook.files import read_tensors
from hornbook.planning.plan import Plan
from hornbook.training.callbacks.base import Callback
from hornbook.training.callbacks.evaluation import Evaluator
from hornbook.training.callbacks.logging import LogWriter
from tests.training.helpers import Clock, trainer_of


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
