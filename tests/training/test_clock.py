"""Seconds of steps, by a clock that the test moves."""

from __future__ import annotations

from hornbook.training.clock import StepClock
from tests.training.helpers import Clock


def test_paused_blocks_are_not_counted_and_may_be_nested() -> None:
    now = Clock()
    clock = StepClock(100.0, now)
    now.seconds += 1
    with clock.paused("evaluation"):
        now.seconds += 10
        with clock.paused("saving"):
            now.seconds += 20
        now.seconds += 10
    assert clock.read() == 101.0
    now.seconds += 2
    assert clock.read() == 103.0
    assert clock.last == {"saving": 20.0, "evaluation": 40.0}


def test_a_block_that_raises_ends_its_pause() -> None:
    now = Clock()
    clock = StepClock(now=now)
    try:
        with clock.paused("samples"):
            now.seconds += 5
            raise KeyError
    except KeyError:
        pass
    now.seconds += 1
    assert clock.read() == 1.0
