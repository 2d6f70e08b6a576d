"""Units cut into chunks, and chunks packed into rows, so that little padding is computed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Chunks:
    """Pieces of units, (n,) each: their unit, first scored token, context before it, scored tokens.

    continues: the piece begins inside its unit, so nothing else may precede it in a row.
    """

    unit: IntArray
    start: IntArray
    context: IntArray
    count: IntArray
    continues: NDArray[np.bool_]


class Rows:
    """Chunks packed into rows of `length` tokens, whole, in order; little is left empty.

    A row may hold several documents. Models tell them apart by the end id that starts each.
    """

    def __init__(self, chunks: Chunks, order: IntArray, length: int) -> None:
        self.length = length
        self._start = chunks.start[order] - chunks.context[order]
        self._context = chunks.context[order]
        self._size = self._context + chunks.count[order]
        self._ends = np.concatenate([[0], np.cumsum(self._size)])
        n = len(order)
        breaks = np.append(np.flatnonzero(chunks.continues[order]), n)
        next_break = breaks[np.searchsorted(breaks, np.arange(n), side="right")].tolist()
        # the first chunk that no longer fits in a row that begins with chunk i
        fits = (np.searchsorted(self._ends, self._ends[:-1] + length, side="right") - 1).tolist()
        first, rows = 0, []
        while first < n:
            rows.append(first)
            first = min(fits[first], next_break[first])
        self._rows = np.array([*rows, n])

    def __len__(self) -> int:
        return len(self._rows) - 1

    def positions(self, first: int, last: int) -> tuple[IntArray, NDArray[np.bool_]]:
        """Rows first to last: at each position which token of the part, (rows, length), -1 where it
        is empty; and whether the token that follows is scored, (rows, length)."""
        a, b = self._rows[first], self._rows[last]
        size, begin = self._size[a:b], self._ends[a:b]
        row = np.searchsorted(self._rows, np.arange(a, b), side="right") - 1
        within = np.arange(self._ends[b] - self._ends[a]) - np.repeat(begin - begin[:1], size)
        column = np.repeat((row - first) * self.length + begin - self._ends[self._rows[row]], size)
        positions = np.full((last - first) * self.length, -1)
        positions[column + within] = np.repeat(self._start[a:b], size) + within
        scored = np.zeros((last - first) * self.length, dtype=np.bool_)
        scored[column + within] = within >= np.repeat(self._context[a:b], size)
        shape = (last - first, self.length)
        return positions.reshape(shape), scored.reshape(shape)
