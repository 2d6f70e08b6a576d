"""Student's t, and the correction for several tests: what decides whether a difference is significant.

Few runs of a setting leave few degrees of freedom, for which the normal distribution is far off: with
three seeds 4.30 standard errors are needed, not 1.96.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

LEVEL = 0.05  # how often chance alone may make any of the differences significant
MOST_FREEDOM = 1e6  # beyond it the distribution is the normal one to six digits
SMALLEST = 1e-12  # p-value; smaller ones are not distinguished
TINY = 1e-300


def p_value(t: float, freedom: float) -> float:
    """How often chance alone makes |t| at least this large (two-sided), from 0 to 1.

    freedom: degrees of freedom, above 0, not necessarily whole. One minus Abramowitz and Stegun
    (1964), 26.7.1.
    """
    freedom = min(freedom, MOST_FREEDOM)
    return beta_share(freedom / 2, 0.5, freedom / (freedom + t * t))


@lru_cache(maxsize=4096)
def t_quantile(freedom: float, level: float = LEVEL) -> float:
    """How many standard errors are needed: by chance, |t| is above this with probability `level`."""
    if level >= 1.0:
        return 0.0

    def above(log_t: float) -> float:
        return math.log(max(p_value(math.exp(log_t), freedom), TINY)) - math.log(level)

    low, high = math.log(1e-9), 0.0
    while above(high) > 0:
        low, high = high, high + 1.0
    f_low, f_high = above(low), above(high)
    for _ in range(200):  # regula falsi, in logarithms, in which tails are straight (Illinois form)
        middle = (low * f_high - high * f_low) / (f_high - f_low)
        f = above(middle)
        if abs(f) < 1e-12 or high - low < 1e-13:
            break
        if f > 0:
            low, f_low, f_high = middle, f, f_high / 2
        else:
            high, f_high, f_low = middle, f, f_low / 2
    return math.exp(middle)


Parts = Sequence[tuple[float, float]]  # independent variances of a mean, with degrees of freedom


def half_width(parts: Parts, level: float = LEVEL) -> float:
    """Half the confidence interval of a mean whose variance is a sum of estimates.

    The square root of the sum of t^2 times the variance, each part with the t of its own degrees of
    freedom: the interval holds with a probability of 1 - level or more (Banerjee 1960, "Approximate
    confidence interval for linear functions of means of k populations"). The degrees of freedom of
    Welch and Satterthwaite promise too much where two seeds happen to be alike.
    """
    return math.sqrt(sum(t_quantile(freedom, level) ** 2 * variance for variance, freedom in parts))


def p_of_mean(mean: float, parts: Parts) -> float:
    """The level at which half the confidence interval of a mean is the mean itself, to four digits; a
    smaller one than SMALLEST is SMALLEST."""
    parts = [(variance, freedom) for variance, freedom in parts if variance > 0]
    if mean == 0 or not parts:
        return 1.0 if mean == 0 else SMALLEST
    if len(parts) == 1:
        ((variance, freedom),) = parts
        return max(SMALLEST, p_value(mean / math.sqrt(variance), freedom))
    low, high = math.log(SMALLEST), 0.0
    for _ in range(18):
        middle = (low + high) / 2
        wide = half_width(parts, math.exp(middle)) >= abs(mean)
        low, high = (middle, high) if wide else (low, middle)
    return math.exp(high)


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
