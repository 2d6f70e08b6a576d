"""When a run is finished, and which learning rate a step has."""

from __future__ import annotations

import pytest

from hornbook.config import OptimConfig
from hornbook.optim.schedules import Schedule
from hornbook.training.history import ValidationHistory
from hornbook.training.state import TrainingState


def test_a_run_is_finished_after_its_last_step_or_without_patience() -> None:
    schedule = Schedule.planned(OptimConfig(learning_rate=1.0, schedule="constant"), 10)
    state = TrainingState(schedule, ValidationHistory(patience=1))
    assert not state.finished
    state.step = 10
    assert state.finished
    state.schedule = schedule.with_total(10, 12)
    assert (state.total_steps, state.finished) == (12, False)
    state.history.since_best = 1
    assert state.finished


def test_another_total_continues_the_schedule_from_where_it_is() -> None:
    config = OptimConfig(learning_rate=1.0, schedule="linear", min_lr_ratio=0.0)
    state = TrainingState(Schedule.planned(config, 10), ValidationHistory())
    before = [state.rate(step) for step in range(5)]
    state.schedule = state.schedule.with_total(5, 15)
    assert [state.rate(step) for step in range(5)] == before
    assert state.rate(10) == pytest.approx(0.25)
    assert state.rate(15) == pytest.approx(0.0)
