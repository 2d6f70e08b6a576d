"""Means of the losses since the last record, and where one is not finite."""

from __future__ import annotations

import math

import pytest
import torch

from hornbook.config import OptimConfig
from hornbook.engine.step import NotFiniteError
from hornbook.optim.schedules import Schedule
from hornbook.training.history import ValidationHistory
from hornbook.training.losses import LossRecorder
from hornbook.training.state import TrainingState


def recorder(*losses: float) -> LossRecorder:
    state = TrainingState(Schedule.planned(OptimConfig(), 100), ValidationHistory())
    add(state, *losses)
    return LossRecorder(state)


def add(state: TrainingState, *losses: float) -> None:
    state.pending += [(torch.tensor(loss), torch.tensor(2 * loss)) for loss in losses]
    state.step += len(losses)


def test_folded_losses_and_pending_ones_make_one_mean() -> None:
    found = recorder(1.0, 2.0)
    assert found.fold() == (2, 3.0, 6.0)
    assert found.state.pending == []
    add(found.state, 6.0)
    assert found.flush() == (3, 3.0, 6.0)
    assert found.losses == [3.0]
    add(found.state, 5.0)
    assert found.flush() == (1, 5.0, 10.0)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_the_first_step_that_is_not_finite_is_named(bad: float) -> None:
    found = recorder(1.0, 2.0)
    found.flush()
    add(found.state, 3.0, bad, math.nan)
    with pytest.raises(NotFiniteError) as error:
        found.read()
    assert error.value.step == 3  # counted from 0
    assert found.losses == [1.5, 3.0]


def test_nothing_pending_is_nothing_to_read() -> None:
    assert recorder().read() == ([], [])
