"""The training part as what samples are held against: copies, near copies, and what counting gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hornbook.data.part import Part, Split
from hornbook.diagnostics.suffixes import Ints, SuffixArray
from hornbook.evaluate import token_nats
from hornbook.models.ngram import NGram, NGramConfig
from hornbook.tokenizers import Tokenizer

LONGEST = 500  # symbols beyond which no edit distance is measured
SEARCHED = 4_000_000  # symbols of the training text that spans are looked for in
SCORED = 8192  # symbols of held-out text that losses are compared on
ROOM = 1 << 23  # probabilities kept at once


class Training:
    """The training part, ready to be asked for copies."""

    def __init__(self, split: Split) -> None:
        self.split = split
        self.known = frozenset(split.train) if split.documents else frozenset()
        self._level: tuple[Part, float, float] | None = None

    def holds(self, text: str) -> bool:
        """Whether a text stands there whole: as a document, or as a stretch of the stream."""
        return text in self.known if self.split.documents else text in self.split.train[0]

    @cached_property
    def spans(self) -> SuffixArray:
        """Of the training text, its first SEARCHED symbols; a line break, which no document holds,
        parts the documents."""
        return SuffixArray("\n".join(self.split.train)[:SEARCHED])

    @cached_property
    def cut(self) -> bool:
        """Whether the training text goes on after what spans are looked for in."""
        return sum(map(len, self.split.train)) > SEARCHED

    def level(self, tokenizer: Tokenizer) -> tuple[Part, float, float]:
        """Some held-out text, and the loss of counted symbols and of counted pairs on it, in nats
        per token (interpolated Kneser-Ney, fitted to the training part)."""
        if self._level is None:
            validation = _some(self.split.validation, room(tokenizer))
            some = replace(
                self.split, recipe=None, train=_some(self.split.train, SEARCHED),
                validation=validation,
            )  # fmt: skip
            part, train = (some.part(name, tokenizer, unknown="skip") for name in ("val", "train"))
            tokens, starts = (
                torch.from_numpy(a.astype(np.int64)) for a in (train.tokens, train.starts)
            )
            counted = []
            for order in (1, 2):
                counts = NGram(NGramConfig(order=order), tokenizer.vocab_size, tokenizer.end_id)
                counts.fit(tokens, starts)
                nats = token_nats(counts, part, batch_tokens=room(tokenizer))
                counted.append(float(nats.mean()))
            self._level = part, counted[0], counted[1]
        return self._level

    @cached_property
    def _table(self) -> tuple[list[str], NDArray[np.unsignedinteger[Any]], Ints]:
        """The different documents that are short enough, as code points (longest, n), lengths."""
        documents = [d for d in dict.fromkeys(self.split.train) if len(d) <= LONGEST]
        lengths = np.array([len(d) for d in documents])
        symbols = np.frombuffer("".join(documents).encode("utf-32-le", "surrogatepass"), "<u4")
        dtype = np.min_scalar_type(int(symbols.max(initial=0)))
        points = np.zeros((len(documents), int(lengths.max(initial=0))), dtype=dtype)
        points[np.arange(points.shape[1]) < lengths[:, None]] = symbols
        return documents, np.ascontiguousarray(points.T), lengths

    def nearest(self, text: str) -> tuple[str, int] | None:
        """The nearest training document and its edit distance (insert, delete, replace: 1 each).

        None for a stream, or where text or documents are longer than LONGEST. Levenshtein 1966, by
        the table of Wagner and Fischer 1974, for all documents at once.
        """
        if not self.split.documents or len(text) > LONGEST or not self._table[0]:
            return None
        documents, points, lengths = self._table
        dtype = np.int8 if len(points) + len(text) < 127 else np.int16
        distance = np.repeat(np.arange(len(points) + 1, dtype=dtype)[:, None], len(lengths), axis=1)
        for symbol in text:
            replaced = distance[:-1] + (points != ord(symbol))
            distance = distance + 1  # deleted
            np.minimum(distance[1:], replaced, out=distance[1:])
            for i in range(1, len(distance)):  # inserted
                np.minimum(distance[i], distance[i - 1] + 1, out=distance[i])
        distances = distance[lengths, np.arange(len(lengths))]
        best = int(distances.argmin())
        return documents[best], int(distances[best])


def room(tokenizer: Tokenizer) -> int:
    """Tokens of which all predictions are kept at once."""
    return max(256, min(SCORED, ROOM // tokenizer.vocab_size))


def _some(texts: Sequence[str], symbols: int) -> tuple[str, ...]:
    """The first texts that hold so many symbols; a single one is cut."""
    ends = np.cumsum([len(text) for text in texts])
    return tuple(text[:symbols] for text in texts[: int(np.searchsorted(ends, symbols)) + 1])
