"""When a model begins to learn its text by heart: one rule, for the watch and for the figure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

NOTICEABLE = 0.002  # nats by which the validation loss has to rise to be called worse

Seen = tuple[int, float, float]  # step, training loss, validation loss of an evaluation


def overfitting(seen: Sequence[Seen]) -> Seen | None:
    """The evaluation that shows it: the validation loss above its best for the second time in a row,
    by NOTICEABLE, while the training loss is below that at the best. None where none does.

    One rise alone may be chance, as the training loss is that of a few batches.
    """
    finite = [one for one in seen if math.isfinite(one[2])]
    if not finite:
        return None
    best = min(finite, key=lambda one: one[2])
    after = [one for one in finite if one[0] > best[0]]
    for before, now in pairwise(after):
        rises = min(before[2], now[2]) > best[2] + NOTICEABLE
        if rises and now[1] < best[1]:
            return now
    return None
