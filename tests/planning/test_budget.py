"""The time of a run: how many updates fit into what is left of it, and how the rate goes on."""

from __future__ import annotations

import itertools
import math
import time

import pytest

from hornbook.config import RunConfig
from hornbook.optim import learning_rate
from hornbook.planning.budget import COUNTED, Budget


def run_config(**optim: object) -> RunConfig:
    return RunConfig.model_validate(
        {
            "model": {"name": "bigram"},
            "optim": {"learning_rate": 1.0, "min_lr_ratio": 0.0, **optim},
            "training": {"steps": 1000, "eval_count": 2, "sample_count": 0},
        }
    )


def called(budget: Budget, updates: int, each: float, n: int = 1) -> None:
    for _ in range(updates // n):
        budget.made(n, n * each)


def test_updates_are_counted_anew_by_what_they_took() -> None:
    """At twice the time that was expected, half of those that were left are made, and evaluations
    that are due are thought of."""
    config = run_config(schedule="linear")
    budget = Budget(100.0, time.monotonic() - 40.0, evaluation=5.0, report=2.0)
    called(budget, 250, 0.15)
    found = budget.counted(config, 250, 40.0, math.inf)  # 2.5 s were spent between the calls
    assert found is not None
    assert found.training.steps == pytest.approx(250 + 48 * 250 / 40, abs=2)
    assert learning_rate(found.optim, 250, found.training.steps) == 0.75
    assert budget.counted(found, 250, 40.0, math.inf) is None  # none were made meanwhile
    called(budget, 40, 0.5)
    again = budget.counted(found, 290, 60.0, math.inf)
    assert again is not None
    assert again.training.steps == pytest.approx(290 + 53 / 0.5, abs=2)  # one evaluation is left
    called(budget, 100, 1.0)
    least = Budget(100.0, time.monotonic() - 100, calls=[(1, 1.0)] * 4)
    over = least.counted(found, 400, 90.0, math.inf)
    assert over is not None
    assert over.training.steps == 401
    most = Budget(100.0, time.monotonic(), calls=[(1, 0.01)] * 4)
    capped = most.counted(config, 4, 0.04, 500)
    assert capped is not None
    assert capped.training.steps == 500


def test_what_is_made_ready_once_is_not_what_updates_take() -> None:
    """Twenty seconds of compiling once left two updates to a run of half a minute."""
    config = run_config()
    budget = Budget(30.0, time.monotonic() - 21.0)
    budget.made(1, 0.3)
    budget.made(8, 20.0)
    assert budget.counted(config, 9, 20.3, math.inf) is None  # nothing yet to go by
    called(budget, 32, 1e-3, 8)
    found = budget.counted(config, 41, 20.34, math.inf)
    assert found is not None
    assert found.training.steps == pytest.approx(41 + 9 / 1e-3, rel=0.2)


@pytest.mark.parametrize("schedule", ["linear", "cosine", "step_decay", "constant"])
@pytest.mark.parametrize(("warmup", "decay_start"), [(0, 0.0), (40, 0.3), (40, 0.0), (7, 0.4)])
@pytest.mark.parametrize("at", [20, 55, 90])
def test_the_rate_goes_on_from_where_it_is_and_settings_repeat_it(
    schedule: str, warmup: int, decay_start: float, at: int
) -> None:
    config = run_config(schedule=schedule, warmup=warmup, decay_start=decay_start)
    training = config.training.model_copy(update={"steps": 100})
    config = config.model_copy(update={"training": training})
    used, step = [], 0
    for count, each in ((at, 0.1), (at + 30, 0.02), (at + 45, 0.05)):
        used += [learning_rate(config.optim, i, config.training.steps) for i in range(step, count)]
        budget = Budget(10.0, time.monotonic(), calls=[(1, each)] * 30)
        config = budget.counted(config, count, 30 * each, math.inf) or config
        step = count
    steps = config.training.steps
    used += [learning_rate(config.optim, i, steps) for i in range(step, steps)]
    assert len(config.optim.paces) == 4
    assert used == [learning_rate(config.optim, i, steps) for i in range(steps)]
    if schedule in ("linear", "cosine"):
        assert max(abs(a - b) for a, b in itertools.pairwise(used)) < 0.15
        top = used.index(max(used))
        assert used[top:] == sorted(used[top:], reverse=True)
        assert learning_rate(config.optim, steps, steps) == pytest.approx(0.0, abs=1e-12)


def test_updates_are_counted_several_times_on_the_way() -> None:
    budget = Budget(10.0, time.monotonic() - 4.0, report=1.0)
    budget.start()
    assert len(budget.counts) == len(COUNTED)
    assert not budget.is_due()
    budget.counts[0] = budget.counts[1] = 0.0
    assert budget.is_due()
    budget.counted(run_config(), 0, 0.0, math.inf)
    assert budget.is_due()  # there is nothing yet to go by
    called(budget, 5, 0.01)
    budget.counted(run_config(), 5, 0.05, math.inf)
    assert len(budget.counts) == len(COUNTED) - 2
