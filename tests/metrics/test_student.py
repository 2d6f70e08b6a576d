"""Student's t against tables and closed forms, and Holm's levels."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hornbook.metrics.student import holm, p_value, t_quantile


@pytest.mark.parametrize(
    ("freedom", "expected"),
    [(1, 12.7062), (2, 4.3027), (3, 3.1824), (4, 2.7764), (5, 2.5706), (9, 2.262157), (19, 2.093024),
     (29, 2.045230), (99, 1.984217), (10**9, 1.959964)],
)  # fmt: skip
def test_the_quantile_is_students(freedom: int, expected: float) -> None:
    assert t_quantile(freedom) == pytest.approx(expected, abs=1e-4)  # as in printed tables


@pytest.mark.parametrize(("freedom", "level"), [(1, 0.01), (2, 0.05 / 6), (4.5, 0.05), (30, 1e-4)])
def test_beyond_the_quantile_lies_the_level(freedom: float, level: float) -> None:
    """By summing the density, of whole and other degrees of freedom."""
    angle = np.linspace(math.atan(t_quantile(freedom, level)), math.pi / 2 - 1e-9, 1_000_001)
    x = np.tan(angle)
    log_c = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)
    c = math.exp(log_c) / math.sqrt(freedom * math.pi)
    density = c * (1 + x**2 / freedom) ** (-(freedom + 1) / 2) * (1 + x**2)
    assert np.trapezoid(density, angle) == pytest.approx(level / 2, rel=1e-4)


def test_p_values_have_their_closed_forms() -> None:
    for t in (0.0, 0.1, 1.0, 5.0, 1000.0):
        assert p_value(t, 1) == pytest.approx(1 - 2 / math.pi * math.atan(t), rel=1e-6)  # Cauchy's
        two = 1 - t / math.sqrt(2 + t * t)
        assert p_value(-t, 2) == pytest.approx(two, rel=1e-6)
        assert p_value(t, 1e9) == pytest.approx(math.erfc(t / math.sqrt(2)), rel=1e-3, abs=1e-12)
    assert p_value(math.inf, 3) == 0


def test_holm_gives_the_smallest_the_hardest_test() -> None:
    """The example of Holm's paper has no numbers; this one is by hand, from his definition."""
    # 0.01 <= 0.05 / 4; 0.013 <= 0.05 / 3; 0.03 > 0.05 / 2, so that 0.04 <= 0.05 does not count
    p = [0.04, 0.01, 0.03, 0.013]
    levels = holm(p)
    assert levels == pytest.approx([0.025, 0.0125, 0.025, 0.05 / 3])
    assert [a <= b for a, b in zip(p, levels, strict=True)] == [False, True, False, True]
    assert holm([]) == []
    assert holm([0.03]) == [0.05]
