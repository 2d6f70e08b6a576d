"""The training part as what samples are held against: copies, near copies, and what counting gives."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import torch

from hornbook.data.part import Part
from hornbook.data.split import Split
from hornbook.metrics.loss import token_nats
from hornbook.metrics.nearest import Nearest
from hornbook.metrics.suffixes import SuffixArray
from hornbook.models.ngram import NGram, NGramConfig
from hornbook.tokenizers import Tokenizer

TEXTS = 100  # looked at closely, samples and held-out ones
STRETCH = 200  # tokens of a sample at most
SEARCHED = 4_000_000  # symbols of the training text that spans and near copies are looked for in
SCORED = 8192  # symbols of held-out text that losses are compared on
ROOM = 1 << 23  # probabilities kept at once


class Training:
    """The training part, ready to be asked for copies."""

    def __init__(self, split: Split) -> None:
        self.split = split
        self.known = frozenset(split.train) if split.documents else frozenset()
        self.yardsticks: dict[Hashable, Any] = {}  # what was measured of held-out texts
        self._levels: dict[Hashable, tuple[Part, float, float]] = {}  # by tokenizer

    @cached_property
    def held_out(self) -> tuple[str, ...]:
        """The texts that are not in the training part, as they are."""
        return (*(self.split.validation if self.split.held_out else ()), *self.split.test)

    def make_ready(self) -> None:
        """Builds what spans and near copies are looked for in; else it is built when first asked."""
        _ = self.spans, self.nearest

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
        key = tokenizer.kind, *map(tokenizer.symbol, range(tokenizer.vocab_size))
        if key not in self._levels:
            validation = _some(self.split.validation, room(tokenizer))
            some = replace(
                self.split, source=None, train=_some(self.split.train, SEARCHED),
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
            self._levels[key] = part, counted[0], counted[1]
        return self._levels[key]

    @cached_property
    def length(self) -> int:
        """Tokens at which samples are cut: twice the longest document, STRETCH at most."""
        return min(STRETCH, 2 * max(map(len, self.known), default=STRETCH))

    @cached_property
    def nearest(self) -> Nearest:
        """The documents of its first SEARCHED symbols, to find the nearest of; none of a stream."""
        documents = _some(self.split.train, SEARCHED) if self.split.documents else ()
        return Nearest(documents, TEXTS * self.length)


@lru_cache(maxsize=1)
def training_of(split: Split) -> Training:
    """The training part of a split; the same as last time where models are trained on it in turn."""
    return Training(split)


def room(tokenizer: Tokenizer) -> int:
    """Tokens of which all predictions are kept at once."""
    return max(256, min(SCORED, ROOM // tokenizer.vocab_size))


def _some(texts: Sequence[str], symbols: int) -> tuple[str, ...]:
    """The first texts that hold so many symbols; a single one is cut."""
    ends = np.cumsum([len(text) for text in texts])
    return tuple(text[:symbols] for text in texts[: int(np.searchsorted(ends, symbols)) + 1])
