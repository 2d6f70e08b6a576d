"""How far texts are from the nearest of many documents, within a bound of work.

Edit distances (insert, delete, replace: 1 each; Levenshtein 1966) are rapidfuzz's. Where comparing
with all documents would take more than `max_cells` cells of the edit-distance tables, each text is
compared only with those whose counts of characters and pairs of characters are nearest to its own,
which one matrix product finds.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import Levenshtein
from rapidfuzz.process import cdist

from hornbook.metrics.tuning import MAX_CELLS

Ints = NDArray[np.int64]

LONGEST = 500  # characters; no distance is measured of longer texts
BUCKETS = 256  # that characters and pairs of characters are counted in
BLOCK = 1 << 13  # documents compared at once, which bounds the memory


class NearestDocuments:
    """Documents, each once and up to LONGEST characters, to find the nearest of.

    Args:
        documents: the texts to search.
        characters: about how many a set of query texts has; bounds the work of `distances`.
        max_cells: cells of the edit-distance tables that a set of texts may take.

    Attributes:
        documents: those that are searched.
        among: with how many of them each text is compared.
    """

    def __init__(
        self, documents: Sequence[str], characters: int, max_cells: int = MAX_CELLS
    ) -> None:
        self.documents = list(dict.fromkeys(d for d in documents if len(d) <= LONGEST))
        self.among = len(self.documents)
        cells = characters * sum(map(len, self.documents))
        if cells > max_cells:
            longest = max(map(len, self.documents))
            self.among = min(self.among, max(1, max_cells // (longest * characters)))

    def distances(self, texts: Sequence[str]) -> list[int]:
        """The edit distance of each text to the nearest document, exact where all are compared and
        otherwise an upper bound. Texts longer than LONGEST are left out."""
        texts = [text for text in texts if len(text) <= LONGEST]
        if not self.documents or not texts:
            return []
        if self.among == len(self.documents):
            blocks = range(0, len(self.documents), BLOCK)
            nearest = [_nearest(texts, self.documents[i : i + BLOCK]) for i in blocks]
            return [min(found) for found in zip(*nearest, strict=True)]
        return [
            _nearest([text], [self.documents[i] for i in candidates])[0]
            for text, candidates in zip(texts, self._most_alike(texts), strict=True)
        ]

    def _most_alike(self, texts: Sequence[str]) -> list[list[int]]:
        """For each text the `among` documents whose character and pair counts are nearest."""
        own, gaps = _counts(texts), []
        for first in range(0, len(self.documents), BLOCK):
            theirs = _counts(self.documents[first : first + BLOCK])
            # the squared distance, but for a constant of each text
            gaps.append((theirs**2).sum(1) - 2 * own @ theirs.T)
        return [
            np.argpartition(row, self.among - 1)[: self.among].tolist()
            for row in np.concatenate(gaps, axis=1)
        ]


def _nearest(texts: Sequence[str], documents: Sequence[str]) -> list[int]:
    """The distance of each text to the nearest document."""
    table = cdist(texts, documents, scorer=Levenshtein.distance, dtype=np.uint16)
    nearest: list[int] = table.min(1).tolist()
    return nearest


def _counts(texts: Sequence[str]) -> NDArray[np.float32]:
    """How often characters and pairs of characters fall into each bucket, (texts, BUCKETS)."""
    raw = "".join(texts).encode("utf-32-le", "surrogatepass")
    points: Ints = np.frombuffer(raw, "<u4").astype(np.int64)
    row = np.repeat(np.arange(len(texts)), [len(t) for t in texts]) * BUCKETS
    within = row[:-1] == row[1:]  # pairs do not span two texts
    pairs = (31 * points[:-1] + 101 * points[1:] + 7)[within]
    cells = np.concatenate([row + points % BUCKETS, row[:-1][within] + pairs % BUCKETS])
    counts = np.bincount(cells, minlength=len(texts) * BUCKETS)
    return counts.reshape(len(texts), BUCKETS).astype(np.float32)
