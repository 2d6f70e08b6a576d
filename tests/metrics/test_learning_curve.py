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


def test_a_target_at_the_limit_of_a_noisy_curve_is_not_promised() -> None:
    """The losses are those of a curve that ends just above the target, measured with noise."""
    promised = 0
    for seed in range(200):
        noise = np.random.default_rng(seed).normal(0, 0.004, 10)
        points = [(x, loss + e) for (x, loss), e in zip(curve(400), noise, strict=True)]
        found = progress_to_reach(points, 1.497)
        promised += found is not None and math.isfinite(found)
    assert promised <= 10


def test_a_limit_that_the_points_leave_open_is_not_promised() -> None:
    # 40 steps of a small GPT on names; counts had 2.0158, and it was at 2.0567 after nine times as long
    x = (0.2, 0.4, 0.59, 0.76, 0.9, 1.01, 1.09, 1.15, 1.17)
    losses = (2.744, 2.5576, 2.4957, 2.4386, 2.3912, 2.3652, 2.348, 2.3378, 2.3334)
    assert progress_to_reach(list(zip(x, losses, strict=True)), 2.0158) is None


def test_a_curve_of_the_first_steps_is_not_said_to_end_above_a_target_far_below() -> None:
    # 40 steps of a small GPT on chat messages; counts had 0.4166, and it was at 0.3810 after 460 steps
    x = (0.0325, 0.0525, 0.0714, 0.0875, 0.1007, 0.1111, 0.1186, 0.1232, 0.125)
    losses = (3.856, 3.406, 3.024, 2.821, 2.698, 2.602, 2.527, 2.481, 2.462)
    assert progress_to_reach(list(zip(x, losses, strict=True)), 0.4166) is None
    # a bigram model as far above, whose losses hardly fall any more
    x = tuple(range(1, 11))
    level = [(float(i), 1.75 + 0.05 / i) for i in x]
    assert progress_to_reach(level, 0.7) == math.inf


def test_a_noisy_curve_is_smoothed() -> None:
    noisy = [(float(x), 2.0 + (-1) ** x) for x in range(1, 201)]
    found = smoothed(noisy)
    assert len(found) == 12
    assert all(loss == pytest.approx(2.0, abs=0.1) for _, loss in found)
    assert smoothed([]) == []
