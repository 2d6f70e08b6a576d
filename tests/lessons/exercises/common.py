"""What the tests of the exercises share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hornbook.lessons.checking import examine
from hornbook.lessons.exercise import find_exercise
from tests.lessons.test_messages import assert_chinese

SEED = 1


def passes(number: str) -> None:
    """The solution of an exercise passes its check."""
    result = examine(number, find_exercise(number).solution, SEED)
    assert result.passed, str(result)
    assert_chinese(result)


def fails(number: str, candidate: Callable[..., Any], *parts: str) -> None:
    """A wrong answer fails, with these parts of the message."""
    result = examine(number, candidate, SEED)
    assert not result.passed
    said = str(result)
    for part in parts:
        assert part in said, said
    assert_chinese(result)
