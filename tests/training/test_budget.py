"""The time of a run: how many updates fit into what is left of it, and how the rate goes on."""

from __future__ import annotations

import math
import time

import pytest

from hornbook.config import ModelConfig, RunConfig
from hornbook.optim import learning_rate
from hornbook.training import budget
from hornbook.training.budget import Budget


def test_updates_are_counted_anew_by_what_they_took() -> None:
    """At twice the time that was expected, half of those that were left are made, and evaluations
    that are due are thought of; the rate goes on from where it is, to the same end."""
    config = RunConfig.model_validate(
        {
            "model": {"name": "bigram"},
            "optim": {"schedule": "linear", "learning_rate": 1.0, "final": 0.0},
            "training": {"steps": 1000, "evaluations": 2, "samplings": 0},
        }
    )
    counted = Budget(100.0, time.monotonic() - 40.0, evaluation=5.0, report=2.0)
    found = counted.counted(config, 250, 40.0, math.inf)
    assert found is not None
    assert found.training.steps == pytest.approx(250 + 48 * 250 / 40, abs=2)
    before, after = (learning_rate(c.optim, 250, c.training.steps) for c in (config, found))
    assert before == after == 0.75
    steps = found.training.steps
    assert learning_rate(found.optim, steps, steps) == 0.0
    assert learning_rate(found.optim, (250 + steps) // 2, steps) == pytest.approx(0.375, abs=2e-3)
    assert counted.counted(found, 250, 40.0, math.inf) is None  # none were made meanwhile
    again = counted.counted(found, 300, 48.0, math.inf)
    assert again is None or len(again.optim.paces) == 2
    assert Budget(100.0, time.monotonic()).counted(found, 300, 1.0, 400) is not None
    least = Budget(100.0, time.monotonic() - 100).counted(found, 400, 90.0, math.inf)
    assert least is not None
    assert least.training.steps == 401


def test_updates_are_counted_several_times_on_the_way() -> None:
    counted = Budget(10.0, time.monotonic() - 4.0, report=1.0)
    counted.start()
    assert len(counted.counts) == len(budget.COUNTED)
    assert not counted.is_due()
    counted.counts[0] = counted.counts[1] = 0.0
    assert counted.is_due()
    config = RunConfig(model=ModelConfig(name="bigram"))
    counted.counted(config, 0, 0.0, math.inf)
    assert counted.is_due()  # there is nothing yet to go by
    counted.counted(config, 1, 0.1, math.inf)
    assert len(counted.counts) == len(budget.COUNTED) - 2
