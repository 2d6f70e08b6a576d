"""How far texts are from the nearest of many documents, within a bound of work.

Edit distances (insert, delete, replace: 1 each; Levenshtein 1966) by the table of Wagner and Fischer
1974, for many documents at once. Where all of them would take longer than CELLS allow, each text is
compared with those alone whose symbols and pairs of symbols differ least from its own, which is a
matter of one matrix product.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Points = NDArray[np.unsignedinteger[Any]]

LONGEST = 500  # symbols beyond which no distance is measured
CELLS = 1 << 29  # of all tables for one set of texts: about a second
BLOCK = 1 << 18  # cells of a row of tables computed at once, which fit into a cache
BUCKETS = 256  # that symbols and pairs are counted in
PROFILED = 1 << 13  # documents whose counts are held at once


class Nearest:
    """Documents, without repetitions and those longer than LONGEST, to be compared with texts.

    symbols: of a set of texts, about. among: with how many documents each is compared.
    """

    def __init__(self, documents: Sequence[str], symbols: int) -> None:
        different = dict.fromkeys(d for d in documents if len(d) <= LONGEST)
        self.documents = sorted(different, key=len)  # little is padded in a block of equals
        self.lengths: Ints = np.array([len(d) for d in self.documents], dtype=np.int64)
        self.among = len(self.documents)
        if int(self.lengths.sum()) * symbols > CELLS:
            most = CELLS // (int(self.lengths.max()) * symbols)
            self.among = min(self.among, max(1, most))

    def distances(self, texts: Sequence[str]) -> list[int]:
        """The distance of each text to the nearest document; texts longer than LONGEST are left
        out. An upper bound where not all documents are compared."""
        texts = [text for text in texts if len(text) <= LONGEST]
        if not self.documents:
            return []
        blocks: Iterable[list[tuple[Points, Ints]]] = [self._blocks] * len(texts)
        if self.among < len(self.documents):
            blocks = ([self._padded(chosen)] for chosen in self._alike(texts))
        return [
            min(_nearest(text, *block) for block in own)
            for text, own in zip(texts, blocks, strict=True)
        ]

    @cached_property
    def _symbols(self) -> Points:
        """All documents, one after the other."""
        symbols = _points("".join(self.documents))
        return symbols.astype(np.min_scalar_type(int(symbols.max(initial=0))))

    @cached_property
    def _starts(self) -> Ints:
        return np.cumsum(self.lengths) - self.lengths

    @cached_property
    def _blocks(self) -> list[tuple[Points, Ints]]:
        """All documents, padded."""
        found, first = [], 0
        while first < len(self.documents):
            last = first + BLOCK // max(1, int(self.lengths[first]))
            found.append(self._padded(np.arange(first, min(last, len(self.documents)))))
            first = last
        return found

    def _padded(self, chosen: Ints) -> tuple[Points, Ints]:
        """Some documents as code points, (longest, n), and their lengths, (n,)."""
        lengths = self.lengths[chosen]
        place = np.arange(int(lengths.max(initial=0)))[:, None]
        inside = place < lengths
        points = np.zeros(inside.shape, dtype=self._symbols.dtype)
        points[inside] = self._symbols[(self._starts[chosen] + place)[inside]]
        return points, lengths

    def _alike(self, texts: Sequence[str]) -> Iterator[Ints]:
        """For each text the documents whose counts of symbols and pairs are nearest, (among,)."""
        own = _profiles(texts)
        gaps = []
        for first in range(0, len(self.documents), PROFILED):
            theirs = _profiles(self.documents[first : first + PROFILED])
            gaps.append((theirs**2).sum(1) - 2 * own @ theirs.T)  # and a constant of each text
        for row in np.concatenate(gaps, axis=1):
            yield np.sort(np.argpartition(row, self.among - 1)[: self.among])


def _points(text: str) -> Points:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")


def _profiles(texts: Sequence[str]) -> NDArray[np.float32]:
    """Counts of the symbols and pairs of symbols of each text in BUCKETS, (texts, BUCKETS)."""
    points = _points("".join(texts)).astype(np.int64)
    text = np.repeat(np.arange(len(texts)), [len(t) for t in texts]) * BUCKETS
    pairs = (31 * points[:-1] + 101 * points[1:] + 7)[text[:-1] == text[1:]]
    first = text[:-1][text[:-1] == text[1:]]
    places = np.concatenate([text + points % BUCKETS, first + pairs % BUCKETS])
    counts = np.bincount(places, minlength=len(texts) * BUCKETS)
    return counts.reshape(len(texts), BUCKETS).astype(np.float32)


def _nearest(text: str, documents: Points, lengths: Ints) -> int:
    """The smallest distance of a text to documents (longest, n) of some lengths."""
    dtype = np.int8 if len(documents) + len(text) < 127 else np.int16
    # a row of the tables, less the place in it: what is inserted then costs nothing, and the
    # cheapest way to insert is the smallest value so far
    row = np.zeros((len(documents) + 1, len(lengths)), dtype=dtype)
    for symbol in text:
        replaced = row[:-1] - (documents == ord(symbol))
        row = row + dtype(1)  # deleted
        np.minimum(row[1:], replaced, out=row[1:])
        reach = 1
        while reach < len(row):
            np.minimum(row[reach:], row[:-reach], out=row[reach:])
            reach *= 2
    return int((row[lengths, np.arange(len(lengths))] + lengths).min())
