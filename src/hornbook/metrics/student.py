"""Student's t, and the correction for several tests: what decides whether a difference is significant.

Few runs of a setting leave few degrees of freedom, for which the normal distribution is far off: with
three seeds 4.30 standard errors are needed, not 1.96.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

LEVEL = 0.05  # how often chance alone may make any of the differences significant
MOST_FREEDOM = 1e6  # beyond it the distribution is the normal one to six digits
TINY = 1e-300


def p_value(t: float, freedom: float) -> float:
    """How often chance alone makes |t| at least this large (two-sided), from 0 to 1.

    freedom: degrees of freedom, above 0, not necessarily whole. One minus Abramowitz and Stegun
    (1964), 26.7.1.
    """
    freedom = min(freedom, MOST_FREEDOM)
    return beta_share(freedom / 2, 0.5, freedom / (freedom + t * t))


def t_quantile(freedom: float, level: float = LEVEL) -> float:
    """How many standard errors are needed: by chance, |t| is above this with probability `level`."""
    low, high = 0.0, 1.0
    while p_value(high, freedom) > level:
        low, high = high, 2 * high
    for _ in range(60):  # halves the interval: 60 bits
        middle = (low + high) / 2
        low, high = (middle, high) if p_value(middle, freedom) > level else (low, middle)
    return high


def holm(p_values: Sequence[float], level: float = LEVEL) -> list[float]:
    """The level at which to make each of several tests, so that with probability 1 - level or more
    none of them is significant by chance alone.

    Of m tests, the one with the smallest p is made at level / m, the next at level / (m - 1), and so
    on until one is not significant; those after it are made at its level (Holm 1979, "A simple
    sequentially rejective multiple test procedure").

    >>> holm([0.02, 0.001, 0.5, 0.03], level=0.04)
    [0.013333333333333334, 0.01, 0.013333333333333334, 0.013333333333333334]
    """
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    levels, failed = [level] * len(p_values), False
    for rank, i in enumerate(order):
        levels[i] = levels[order[rank - 1]] if failed else level / (len(order) - rank)
        failed = failed or p_values[i] > levels[i]
    return levels


def beta_share(a: float, b: float, x: float) -> float:
    """The regularized incomplete beta function I_x(a, b), from 0 to 1.

    By its continued fraction (Abramowitz and Stegun 1964, 26.5.8), which converges fast for x below
    (a + 1) / (a + b + 2); beyond that I_x(a, b) = 1 - I_(1-x)(b, a).
    """
    if x <= 0.0 or x >= 1.0:
        return float(x >= 1.0)
    if x > (a + 1) / (a + b + 2):
        return 1.0 - beta_share(b, a, 1.0 - x)
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    log_front += a * math.log(x) + b * math.log1p(-x)
    return math.exp(log_front) / a * _continued_fraction(a, b, x)


def _continued_fraction(a: float, b: float, x: float) -> float:
    """1 / (1 + d1 / (1 + d2 / (1 + ...))), by the method of Lentz (1976)."""
    c, d = 1.0, 1.0 / ((1.0 - (a + b) * x / (a + 1)) or TINY)
    fraction = d
    for m in range(1, 10_000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1.0 / ((1.0 + term * d) or TINY)
            c = (1.0 + term / c) or TINY
            fraction *= c * d
        if abs(c * d - 1.0) < 1e-14:
            break
    return fraction
