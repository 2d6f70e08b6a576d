"""What a curve of losses leads to."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hornbook.metrics.learning_curve import progress_to_reach, smoothed


def curve(
    last: float, floor: float = 1.5, exponent: float = 0.5, n: int = 10
) -> list[tuple[float, float]]:
    return [(x, floor + 10 * x**-exponent) for x in np.linspace(last / n, last, n).tolist()]


def test_a_power_law_is_continued() -> None:
    found = progress_to_reach(curve(400), 1.8)
    assert found == pytest.approx((10 / 0.3) ** 2, rel=0.02)


def test_what_it_has_reached_is_behind_it() -> None:
    found = progress_to_reach(curve(400), 2.2)
    assert found is not None
    assert found < 400


def test_a_curve_that_levels_off_above_does_not_get_there() -> None:
    level = [(x, 2.5 + 0.001 / x) for x in range(1, 11)]
    assert progress_to_reach(level, 2.0) == math.inf
    assert progress_to_reach([(x, 2.5 + 0.01 * x) for x in range(1, 11)], 2.0) == math.inf


def test_nothing_is_said_of_what_is_too_far() -> None:
    assert progress_to_reach(curve(400), 1.50001) == math.inf  # more than MOST times as far
    assert progress_to_reach(curve(40, 0.0, 0.1), 5.5) is None  # further down than was seen
    assert progress_to_reach(curve(400)[:1], 1.8) is None
    assert progress_to_reach([], 1.8) is None


def test_a_curve_that_has_not_bent_yet_says_nothing_of_where_it_levels_off() -> None:
    # five steps of a warm-up, by the sum of the learning rates; after a hundred it was at 0.32
    x, losses = (0.25, 0.75, 1.5, 2.5, 3.75), (4.0537, 4.0406, 4.0209, 3.9940, 3.9601)
    assert progress_to_reach(list(zip(x, losses, strict=True)), 0.3391) is None


def test_a_noisy_curve_is_smoothed() -> None:
    noisy = [(float(x), 2.0 + (-1) ** x) for x in range(1, 201)]
    found = smoothed(noisy)
    assert len(found) == 12
    assert all(loss == pytest.approx(2.0, abs=0.1) for _, loss in found)
    assert smoothed([]) == []
