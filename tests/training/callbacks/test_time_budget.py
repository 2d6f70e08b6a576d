"""A time budget while it is spent, by a clock that the test moves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import hornbook
from hornbook.files import read_json
from hornbook.planning.decide.time_budget import TimeBudget
from hornbook.planning.plan import Plan
from hornbook.training import session
from hornbook.training.callbacks.base import Callback
from hornbook.training.callbacks.time_budget import COUNTED_AT, TimeBudgetCallback
from hornbook.training.checkpoint import read_position
from hornbook.training.interrupts import Interrupted
from hornbook.training.loop import Trainer
from tests.training.helpers import After, At, Clock, Listen, die, stop, trainer_of


@pytest.fixture
def clock() -> Clock:
    """Both the time of the budget and that of the steps."""
    return Clock()


class Pass(Callback):
    """Lets seconds pass in each step."""

    def __init__(self, clock: Clock, each: Callable[[int], float]) -> None:
        self.clock, self.each = clock, each

    def pre_step(self, step: int) -> None:
        self.clock.seconds += self.each(step)


def timed(plan: Plan, seconds: float, clock: Clock, **more: float) -> Plan:
    budget = TimeBudget(minutes=seconds / 60, began=0.0, clock=clock, **more)
    return replace(plan, time_budget=budget)


def trained(
    plan: Plan, path: Path, clock: Clock, each: Callable[[int], float]
) -> tuple[TimeBudgetCallback, Listen, Any]:
    """Trains with nothing but the budget."""
    assert plan.time_budget is not None
    budget, listen = TimeBudgetCallback(plan.time_budget), Listen()
    callbacks = [budget, Pass(clock, each), listen]
    with trainer_of(plan, path, callbacks, now=clock) as trainer:
        trainer.train()
    return budget, listen, trainer.state


@pytest.mark.parametrize(("each", "steps"), [(0.5, 200), (2.0, 50), (1.0, 100)])
def test_steps_are_counted_anew_by_what_they_took(
    each: float, steps: int, plan_of: Callable[..., Plan], tmp_path: Path, clock: Clock
) -> None:
    """Planned are a hundred steps of a second."""
    _, listen, state = trained(
        timed(plan_of(100), 100, clock), tmp_path / "r", clock, lambda _: each
    )
    assert state.step == pytest.approx(steps, abs=2)
    assert clock.seconds == pytest.approx(100, abs=2 * each)
    assert (listen.totals == []) == (each == 1.0)
    assert listen.totals[-1:] in ([], [state.total_steps])


def test_a_machine_that_becomes_slower_on_the_way_still_ends_in_time(
    plan_of: Callable[..., Plan], tmp_path: Path, clock: Clock
) -> None:
    plan = timed(plan_of(100), 100, clock)
    _, listen, state = trained(plan, tmp_path / "r", clock, lambda step: 1.0 if step < 50 else 3.0)
    assert clock.seconds == pytest.approx(100, abs=9)
    assert state.step == pytest.approx(50 + 50 / 3, abs=3)
    assert len(listen.totals) <= len(COUNTED_AT)
    rates = [state.rate(step) for step in range(plan.config.optim.warmup, state.total_steps)]
    assert rates == sorted(rates, reverse=True)


def test_what_is_compiled_once_is_not_what_steps_take(
    plan_of: Callable[..., Plan], tmp_path: Path, clock: Clock
) -> None:
    """Twenty seconds of compiling once left two steps to a run of half a minute."""
    plan = timed(plan_of(1000), 30, clock)
    _, _, state = trained(plan, tmp_path / "r", clock, lambda step: 20.0 if step == 1 else 0.1)
    assert state.step == pytest.approx(100, abs=5)


def test_a_small_text_is_not_seen_more_often_than_is_good(
    plan_of: Callable[..., Plan], tmp_path: Path, clock: Clock
) -> None:
    plan = replace(timed(plan_of(100), 100, clock), max_steps=120)
    _, _, state = trained(plan, tmp_path / "r", clock, lambda _: 0.5)
    assert state.step == 120


def test_when_time_is_over_one_more_step_is_made(
    plan_of: Callable[..., Plan], tmp_path: Path, clock: Clock
) -> None:
    plan = timed(plan_of(100), 10, clock)
    _, _, state = trained(plan, tmp_path / "r", clock, lambda step: 0.1 if step < 8 else 60.0)
    assert state.step < 20


def test_the_report_and_what_samples_took_are_left_out(
    plan_of: Callable[..., Plan], tmp_path: Path, clock: Clock
) -> None:
    plan = timed(plan_of(100, sample_count=3), 100, clock, report=30.0, samples=10.0)
    budget, _, state = trained(plan, tmp_path / "r", clock, lambda _: 1.0)
    assert budget.budget.samples == 10.0  # none were drawn here
    # 70 s are left; two times samples on the way at first, none near the end
    assert 50 <= state.step <= 71


@pytest.mark.parametrize("how", ["interrupted", "killed"])
def test_a_run_that_was_counted_anew_continues_to_the_same_end(
    how: str, plan_of: Callable[..., Plan], tmp_path: Path, clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Its schedule is part of the state; config.json says what was planned."""
    plan = timed(plan_of(100, optim={"schedule": "linear"}, sample_count=0), 100, clock)
    monkeypatch.setattr(session, "resolve", lambda _: plan)
    passing, out = Pass(clock, lambda _: 2.0), tmp_path / "r"
    monkeypatch.setattr(session, "Trainer", partial(Trainer, now=clock))
    totals = Listen()
    end = After(20, stop) if how == "interrupted" else At(20, die)
    with pytest.raises(Interrupted if how == "interrupted" else KeyboardInterrupt):
        hornbook.train(out=out, callbacks=[passing, totals, end])
    config = (out / "config.json").read_bytes()
    total = totals.totals[-1]
    assert total == pytest.approx(50, abs=3)
    assert read_json(out / "last" / "state.json")["total_steps"] == total
    assert read_position(out)["steps"] == total
    resumed = Listen()
    run = hornbook.resume(out, callbacks=[resumed])
    assert run.report["steps"] == total
    assert run.report["schedule"] == read_position(out)["schedule"]
    assert len(run.report["schedule"]) > 1
    assert not resumed.totals  # the budget is over
    rates = [r["lr"] for r in run.log if r["step"]]
    assert rates[-1] < 0.1 * plan.config.optim.learning_rate
    assert (out / "config.json").read_bytes() == config
    assert run.config.training.steps == 100
