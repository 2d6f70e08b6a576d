"""One rule for when a model begins to overfit."""

from __future__ import annotations

import math

import pytest

from hornbook.metrics.overfitting import overfitting


@pytest.mark.parametrize(
    ("losses", "shows_at"),
    [
        ([(3.0, 3.0), (2.5, 2.6), (2.0, 2.7), (1.5, 2.8)], 40),
        ([(3.0, 3.0), (2.5, 2.6), (2.0, 2.7)], None),  # one rise may be chance
        ([(3.0, 3.0), (2.5, 2.6), (2.6, 2.7), (2.7, 2.8)], None),  # the training loss rises too
        ([(3.0, 3.0), (2.5, 2.6), (2.0, 2.6005), (1.5, 2.6009)], None),  # not noticeably
        ([(2.0, 2.0), (1.5, math.nan), (1.2, 2.1), (1.0, 2.2)], 40),
        ([(3.0, math.nan)], None),
        ([], None),
    ],
)
def test_two_rises_in_a_row_show_it(
    losses: list[tuple[float, float]], shows_at: int | None
) -> None:
    found = overfitting([(10 * i, *pair) for i, pair in enumerate(losses, 1)])
    assert (found and found[0]) == shows_at
