"""Substrings of a text, found by bisection in its suffix array."""

from __future__ import annotations

import bisect

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


class SuffixArray:
    """The positions of a text in the order of their suffixes.

    Built by prefix doubling (Manber and Myers 1990) on whole arrays.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.positions = suffix_order(text)

    def __contains__(self, piece: str) -> bool:
        i = bisect.bisect_left(
            self.positions, piece, key=lambda first: self.text[first : first + len(piece)]
        )
        return i < len(self.positions) and self.text.startswith(piece, int(self.positions[i]))

    def longest_span(self, text: str) -> tuple[int, int]:
        """The start and length of the longest span of `text` that appears in the indexed text."""
        start = length = 0
        for i in range(len(text)):
            while i + length < len(text) and text[i : i + length + 1] in self:
                start, length = i, length + 1
        return start, length


def suffix_order(text: str) -> Ints:
    """The positions of a text sorted by their suffixes, (len(text),).

    >>> suffix_order("banana").tolist()
    [5, 3, 1, 0, 4, 2]
    """
    points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
    n = len(points)
    rank: Ints = np.unique(points, return_inverse=True)[1].astype(np.int64) + 1  # 0: past the end
    order, length = np.argsort(rank, kind="stable"), 1
    while n > 1:
        later = np.zeros(n, dtype=np.int64)
        later[: max(0, n - length)] = rank[length:]
        key = rank * (int(rank.max()) + 1) + later
        order = np.argsort(key, kind="stable")
        changes = np.concatenate([[1], np.diff(key[order]) != 0]).cumsum()
        rank = np.empty(n, dtype=np.int64)
        rank[order] = changes
        length *= 2
        if changes[-1] == n:
            break
    return order
