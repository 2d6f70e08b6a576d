"""Two interleaving half circles, which no line separates."""

from __future__ import annotations

import math
import random


def two_moons(n: int, noise: float = 0.1, seed: int = 0) -> tuple[list[list[float]], list[float]]:
    """`n` points (x, y) and their labels, alternately -1 (upper moon) and 1 (lower moon).

    `noise` is the standard deviation of the Gaussian noise in both coordinates.
    """
    rng = random.Random(seed)
    points, labels = [], []
    for i in range(n):
        angle = rng.uniform(0, math.pi)
        x, y = math.cos(angle), math.sin(angle)
        if i % 2:
            x, y = 1 - x, 0.5 - y
        points.append([x + rng.gauss(0, noise), y + rng.gauss(0, noise)])
        labels.append(1.0 if i % 2 else -1.0)
    return points, labels
