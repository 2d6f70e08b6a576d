"""When a run is finished, which learning rate a step has, and means of the losses since a record."""

from __future__ import annotations

import math

import pytest
import torch

from hornbook.config import OptimConfig
from hornbook.engine.step import NotFiniteError
from hornbook.optim.schedules import Schedule
from hornbook.training.history import ValidationHistory
from hornbook.training.state import TrainingState


def test_a_run_is_finished_after_its_last_step_or_when_stopped() -> None:
    schedule = Schedule.planned(OptimConfig(learning_rate=1.0, schedule="constant"), 10)
    state = TrainingState(schedule, ValidationHistory(patience=1))
    assert not state.finished
    state.step = 10
    assert state.finished
    state.schedule = schedule.with_total(10, 12)
    assert (state.total_steps, state.finished) == (12, False)
    state.stopped = True
    assert state.finished


def test_another_total_continues_the_schedule_from_where_it_is() -> None:
    config = OptimConfig(learning_rate=1.0, schedule="linear", min_lr_ratio=0.0)
    state = TrainingState(Schedule.planned(config, 10), ValidationHistory())
    before = [state.rate(step) for step in range(5)]
    state.schedule = state.schedule.with_total(5, 15)
    assert [state.rate(step) for step in range(5)] == before
    assert state.rate(10) == pytest.approx(0.25)
    assert state.rate(15) == pytest.approx(0.0)


def state_of(*losses: float) -> TrainingState:
    state = TrainingState(Schedule.planned(OptimConfig(), 100), ValidationHistory())
    add(state, *losses)
    return state


def add(state: TrainingState, *losses: float) -> None:
    state.pending += [(torch.tensor(loss), torch.tensor(2 * loss)) for loss in losses]
    state.step += len(losses)


def test_folded_losses_and_pending_ones_make_one_mean() -> None:
    found = state_of(1.0, 2.0)
    assert found.fold_losses() == (2, 3.0, 6.0)
    assert found.pending == []
    add(found, 6.0)
    assert found.record_losses() == (3, 3.0, 6.0)
    assert found.losses == [3.0]
    add(found, 5.0)
    assert found.record_losses() == (1, 5.0, 10.0)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_the_first_step_that_is_not_finite_is_named(bad: float) -> None:
    found = state_of(1.0, 2.0)
    found.record_losses()
    add(found, 3.0, bad, math.nan)
    with pytest.raises(NotFiniteError) as error:
        found.read_losses()
    assert error.value.step == 3  # counted from 0
    assert found.losses == [1.5, 3.0]


def test_nothing_pending_is_nothing_to_read() -> None:
    assert state_of().read_losses() == ([], [])
