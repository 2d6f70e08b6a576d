"""Where a learning curve leads: a power law through its losses.

Losses over training are well described by E + A * x^-alpha (Hestness et al. 2017; Kaplan et al.
2020), where E is the loss that no amount of training gets below, and x the training so far: steps or,
where the learning rate changes, its sum over the steps (Tissue, Wang and Wang 2024).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FEWEST = 4  # points to fit to
FROM = 0.2  # share of the training from which on the curve is fitted: before, another law holds
MOST = 30.0  # times the training that was done: further on a curve says nothing
PLAUSIBLE = 4.0  # F of one parameter at about 5%, up to which an exponent fits as well as the best
EXPONENTS = np.linspace(0.1, 1.0, 19)

Point = tuple[float, float]  # training so far, loss


def progress_to_reach(points: Sequence[Point], target: float) -> float | None:
    """The training after which the curve is down at `target`, by the slowest power law that fits it.

    Infinite where the one that fits best levels off above, or below by less than the standard error of
    its limit, or would take more than MOST times the training that was done. None where that is not
    known: with too few points, where a straight line downwards fits as well (as in the warm-up: the
    curve has not bent yet), where the target is further down than what was seen of the curve and some
    law that fits nearly as well gets there at last, and where another such law does not get there.
    """
    last = max((x for x, _ in points), default=0.0)
    kept = [(x, loss) for x, loss in points if x >= FROM * last > 0 and math.isfinite(loss)]
    if len(kept) < FEWEST:
        return None
    x, losses = np.array(kept).T
    fits = sorted(_fit(x / last, losses, each) for each in EXPONENTS)
    best = fits[0]
    slope, start = np.polyfit(x / last, losses, 1)
    if slope < 0 and float(np.mean((start + slope * x / last - losses) ** 2)) < best.square:
        return None
    limit = best.square * (1 + PLAUSIBLE / max(1, len(kept) - 3))
    times = [fit.times(target) for fit in fits if fit.square <= limit]
    far = losses[-1] - target > losses[0] - losses[-1]
    if best.times(target) > MOST:
        return None if far and min(times) < math.inf else math.inf
    return last * max(times) if max(times) <= MOST and not far else None


class _Fit(NamedTuple):
    """E + A * x^-alpha: the mean square of its error, E, the standard error of E, A and alpha."""

    square: float
    floor: float
    error: float
    height: float
    exponent: float

    def times(self, target: float) -> float:
        """The x at which the loss is `target`, with E higher by its standard error."""
        room = target - self.floor - self.error
        if self.height <= 0 or room <= 0:
            return math.inf
        with suppress(OverflowError):
            return float((self.height / room) ** (1 / self.exponent))
        return math.inf


def _fit(x: NDArray[np.float64], losses: NDArray[np.float64], exponent: float) -> _Fit:
    """The least squares of one exponent, with E of at least 0."""
    powers = x**-exponent
    height, floor = np.polyfit(powers, losses, 1)
    if floor < 0:
        floor, height = 0.0, float(powers @ losses / (powers @ powers))
    square = float(np.mean((floor + height * powers - losses) ** 2))
    n, deviations = len(x), powers - powers.mean()
    leverage = 1 / n + powers.mean() ** 2 / float(deviations @ deviations)
    error = math.sqrt(square * n / max(1, n - 2) * leverage)
    return _Fit(square, float(floor), error, float(height), float(exponent))


def smoothed(points: Sequence[Point], pieces: int = 12) -> list[Point]:
    """The means of at most so many pieces of a noisy curve, evenly spread over its points."""
    parts = np.array_split(np.array(points, dtype=float).reshape(-1, 2), pieces)
    return [(float(p[:, 0].mean()), float(p[:, 1].mean())) for p in parts if len(p)]
