"""The time that is left does not jump, and is right in the end."""

from __future__ import annotations

from itertools import pairwise

import pytest

from hornbook.training.callbacks.time_left import TimeLeft


def seconds_left(shown: str) -> int:
    minutes, _, seconds = shown.split()[0].partition(":")
    return 60 * int(minutes) + int(seconds)


@pytest.mark.parametrize("evaluation", [0.0, 5.0, 30.0])
@pytest.mark.parametrize("first", [0.1, 45.0])
@pytest.mark.parametrize("slower", [1.0, 3.0])
def test_the_time_left_does_not_jump(first: float, evaluation: float, slower: float) -> None:
    """A first step that is compiled, long evaluations, a machine that becomes slower halfway."""
    seconds = [first] + [0.1 * (slower if step > 500 else 1.0) for step in range(1, 1000)]
    clock, left = 0.0, TimeLeft(0, 0.0)
    shown: list[tuple[float, int]] = []  # when, and what was shown
    for step, took in enumerate(seconds, 1):
        clock += took + (evaluation if step % 100 == 0 else 0.0)
        if step == 1 or step % 5 == 0:
            text = left.read(step, 1000, clock)
            if text:
                shown.append((clock, seconds_left(text)))
    for (earlier, before), (later, after) in pairwise(shown):
        expected = before - (later - earlier)
        if expected > 20:
            assert expected / 1.8 < after < before * 1.8, (earlier, before, after)
    at, last = shown[-2]
    assert abs(at + last - clock) < 0.1 * clock  # in the end it is right


def test_a_first_step_that_takes_long_is_not_expected_again() -> None:
    left = TimeLeft(0, 0.0)
    assert left.read(0, 101, 5.0) == ""  # an evaluation before the first step
    assert left.read(1, 101, 60.0) == left.read(2, 101, 61.0) == ""
    assert left.read(3, 101, 62.0) == "  1:38 left"
    assert left.read(101, 101, 160.0) == ""
