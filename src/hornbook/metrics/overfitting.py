"""When a model begins to overfit: one rule, for training and for the figure of losses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

NOTICEABLE = 0.002  # nats by which the validation loss has to rise to be called worse

LossPoint = tuple[int, float, float]  # step, training loss, validation loss of an evaluation


def overfitting(evaluations: Sequence[LossPoint]) -> LossPoint | None:
    """The evaluation that shows overfitting, None where none does.

    It is the second in a row whose validation loss is above the best by NOTICEABLE, while its
    training loss is below that at the best. One rise may be chance, as the training loss is that of
    a few batches.
    """
    finite = [point for point in evaluations if math.isfinite(point[2])]
    if not finite:
        return None
    best = min(finite, key=lambda point: point[2])
    after = [point for point in finite if point[0] > best[0]]
    for before, now in pairwise(after):
        if min(before[2], now[2]) > best[2] + NOTICEABLE and now[1] < best[1]:
            return now
    return None
