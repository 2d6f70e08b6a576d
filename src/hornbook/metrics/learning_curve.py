"""Where a learning curve leads: a power law through its losses.

Losses over training are well described by E + A * x^-alpha (Hestness et al. 2017; Kaplan et al.
2020), where E is the loss that no amount of training gets below, and x the training so far: steps or,
where the learning rate changes, its sum over the steps (Tissue, Wang and Wang 2024).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

FEWEST = 4  # points to fit to
FROM = 0.2  # share of the training from which on the curve is fitted: before, another law holds
MOST = 30.0  # times the training that was done: further on a curve says nothing
EXPONENTS = np.linspace(0.1, 1.0, 19)

Point = tuple[float, float]  # training so far, loss


def progress_to_reach(points: Sequence[Point], target: float) -> float | None:
    """The training after which the curve is down at `target`, by the power law that fits it best.

    Infinite where it levels off above, or would take more than MOST times the training that was done;
    None where there are too few points to tell, where a straight line downwards fits as well (as in the
    warm-up: the curve has not bent yet, so where it levels off is not known), or where the target is
    further down than what was seen of the curve.
    """
    last = max((x for x, _ in points), default=0.0)
    kept = [(x, loss) for x, loss in points if x >= FROM * last > 0 and math.isfinite(loss)]
    if len(kept) < FEWEST:
        return None
    x, losses = np.array(kept).T
    error, floor, height, exponent = min(_fit(x / last, losses, each) for each in EXPONENTS)
    slope, start = np.polyfit(x / last, losses, 1)
    if slope < 0 and float(np.mean((start + slope * x / last - losses) ** 2)) < error:
        return None
    if height <= 0 or target <= floor:
        return math.inf
    if losses[-1] - target > losses[0] - losses[-1]:
        return None
    times = (height / (target - floor)) ** (1 / exponent)
    return last * times if times <= MOST else math.inf


def _fit(
    x: NDArray[np.float64], losses: NDArray[np.float64], exponent: float
) -> tuple[float, float, float, float]:
    """Mean square of the error, E of at least 0, A and the exponent."""
    powers = x**-exponent
    height, floor = np.polyfit(powers, losses, 1)
    if floor < 0:
        floor, height = 0.0, float(powers @ losses / (powers @ powers))
    error = float(np.mean((floor + height * powers - losses) ** 2))
    return error, float(floor), float(height), float(exponent)


def smoothed(points: Sequence[Point], pieces: int = 12) -> list[Point]:
    """The means of at most so many pieces of a noisy curve, evenly spread over its points."""
    parts = np.array_split(np.array(points, dtype=float).reshape(-1, 2), pieces)
    return [(float(p[:, 0].mean()), float(p[:, 1].mean())) for p in parts if len(p)]
