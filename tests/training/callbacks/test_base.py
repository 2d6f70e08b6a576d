"""At which steps something happens, by how often it is to happen."""

from __future__ import annotations

import pytest

from hornbook.training.callbacks.base import following, spaced_steps


@pytest.mark.parametrize(
    ("total", "count", "steps"),
    [(10, 4, (2, 5, 8, 10)), (3, 10, (1, 2, 3)), (12, 1, (12,)), (12, 0, ()), (1, 1, (1,))],
)
def test_steps_are_evenly_spaced_and_end_with_the_last(
    total: int, count: int, steps: tuple[int, ...]
) -> None:
    assert spaced_steps(total, count) == steps


def test_the_step_that_follows() -> None:
    assert [following((2, 5, 8), step) for step in (0, 2, 7, 8)] == [2, 5, 8, None]
