"""A time budget, by a clock that stands where it is set."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import pytest

from hornbook.errors import ConfigError
from hornbook.planning.decide.time_budget import TimeBudget, TooShortError


def budget(minutes: float, spent: float = 0.0, **seconds: float) -> TimeBudget:
    return TimeBudget(minutes=minutes, began=100.0, clock=lambda: 100.0 + spent, **seconds)


def test_steps_fill_what_evaluations_and_the_report_leave() -> None:
    found = budget(1.0, spent=10.0, evaluation=2.0, report=5.0)
    assert found.seconds_spent == 10.0
    assert found.seconds_left == 45.0
    assert found.steps(0.5, besides=3 * found.evaluation) == 78
    assert budget(1.0, spent=500.0).seconds_left == 0.0


def test_evaluations_take_a_tenth_of_the_time_at_most() -> None:
    assert budget(1.0, evaluation=0.1).evaluations(10) == 10
    assert budget(1.0, evaluation=1.0).evaluations(10) == 6
    assert budget(1.0, evaluation=30.0).evaluations(10) == 1


def test_what_fits_is_accepted() -> None:
    budget(1.0, spent=20.0, evaluation=10.0, report=19.0).check(0.5, 2)
    with pytest.raises(TooShortError):
        budget(1.0, spent=20.0, evaluation=10.0, report=19.5).check(0.5, 2)


@pytest.mark.parametrize("minutes", [0.001, 0.02, 0.1])
@pytest.mark.parametrize("step_seconds", [0.001, 0.4, 20.0])
def test_the_advice_works_at_the_next_try(minutes: float, step_seconds: float) -> None:
    tight = budget(minutes, spent=7.0, evaluation=1.5, report=3.0)
    with pytest.raises(ConfigError, match="too few here for two steps and 3 evaluations") as found:
        tight.check(step_seconds, 3)
    assert isinstance(found.value, TooShortError)
    advised = float(str(found.value).split("give ")[1].split()[0])
    assert advised == found.value.needed
    slower = budget(advised, spent=8.0, evaluation=1.7, report=3.4)  # as measured another time
    slower.check(1.1 * step_seconds, 3)
    assert 60 * advised < 1.3 * (7.0 + 3.0 + 3 * 1.5 + 2 * step_seconds) + 12


def test_a_time_budget_cannot_be_patched() -> None:
    found = budget(1.0)
    with pytest.raises(FrozenInstanceError):
        found.report = 3.0  # type: ignore[misc]
    assert replace(found, report=3.0).seconds_left == found.seconds_left - 3.0
