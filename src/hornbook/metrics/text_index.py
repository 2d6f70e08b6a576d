"""The training text indexed for lookup: whole documents, substrings, nearest documents."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import torch

from hornbook.data.part import Part
from hornbook.data.split import Split
from hornbook.metrics.counts import MOST_TOKENS, Counts, search_counts
from hornbook.metrics.loss import token_nats
from hornbook.metrics.nearest import NearestDocuments
from hornbook.metrics.suffixes import SuffixArray
from hornbook.models.ngram import NGram, NGramConfig
from hornbook.tokenizers import Tokenizer

TEXTS = 100  # samples, and held-out texts, whose spans and distances are measured
MAX_SAMPLE_TOKENS = 200
MAX_CHARACTERS = 4_000_000  # of the training text that spans and distances are measured in
MAX_SCORED_TOKENS = 8192  # of held-out text that losses are compared on
MAX_LOGITS = 1 << 23  # computed at once


class TextIndex:
    """The training part of a split, indexed; each index is built when it is first used.

    Attributes:
        split: the texts.
        documents: the training documents, a frozen set; empty for a stream.
        held_out_statistics: a cache of what was measured of held-out texts, by text.
    """

    def __init__(self, split: Split) -> None:
        self.split = split
        self.documents = frozenset(split.train) if split.documents else frozenset()
        self.held_out_statistics: dict[Hashable, Any] = {}
        self._counted: dict[Hashable, tuple[Part, float, float]] = {}  # by tokenizer
        self._best_counts: dict[Hashable, Counts] = {}

    def __contains__(self, text: str) -> bool:
        """Whether the text is a training document, or appears in the training part of a stream."""
        return text in self.documents if self.split.documents else text in self.split.train[0]

    @cached_property
    def held_out(self) -> tuple[str, ...]:
        """The texts that are not in the training part: validation and test."""
        return (*(self.split.validation if self.split.held_out else ()), *self.split.test)

    @cached_property
    def substrings(self) -> SuffixArray:
        """The first MAX_CHARACTERS of the training text; what no document holds separates documents."""
        return SuffixArray(self.split.document_end.join(self.split.train)[:MAX_CHARACTERS])

    @cached_property
    def nearest(self) -> NearestDocuments:
        """The documents of the first MAX_CHARACTERS, to find the nearest of; none for a stream."""
        documents = _first(self.split.train, MAX_CHARACTERS) if self.split.documents else ()
        return NearestDocuments(documents, TEXTS * self.sample_tokens)

    def build(self) -> None:
        """Builds the slow indexes now."""
        _ = self.substrings, self.nearest

    @cached_property
    def truncated(self) -> bool:
        """Whether the training text is longer than what is indexed."""
        return sum(map(len, self.split.train)) > MAX_CHARACTERS

    @cached_property
    def sample_tokens(self) -> int:
        """Tokens that samples are limited to: twice the longest document, at most 200."""
        return min(MAX_SAMPLE_TOKENS, 2 * max(map(len, self.documents), default=MAX_SAMPLE_TOKENS))

    def counted_losses(self, tokenizer: Tokenizer) -> tuple[Part, float, float]:
        """Some held-out text and the losses of unigram and bigram counts on it, in nats per token
        (interpolated Kneser-Ney of order 1 and 2)."""
        key = tokenizer.fingerprint
        if key not in self._counted:
            some = replace(
                self.split, source=None, train=_first(self.split.train, MAX_CHARACTERS),
                validation=_first(self.split.validation, scored_at_once(tokenizer)),
            )  # fmt: skip
            part, train = (some.part(name, tokenizer, unknown="skip") for name in ("val", "train"))
            fitted_to = [torch.from_numpy(a.astype(np.int64)) for a in (train.tokens, train.starts)]
            losses = []
            for order in (1, 2):
                counts = NGram(NGramConfig(order=order), tokenizer.vocab_size, tokenizer.end_id)
                counts.fit(*fitted_to)
                nats = token_nats(counts, part, batch_tokens=scored_at_once(tokenizer))
                losses.append(float(nats.mean()))
            self._counted[key] = part, losses[0], losses[1]
        return self._counted[key]

    def best_counts(
        self, train: Part, validation: Part, tokenizer: Tokenizer, most_tokens: int = MOST_TOKENS
    ) -> Counts:
        """The best n-grams of the split (`metrics.counts.search_counts`), whose parts these are;
        searched once."""
        key = tokenizer.fingerprint
        if key not in self._best_counts:
            self._best_counts[key] = search_counts(train, validation, tokenizer, most_tokens)
        return self._best_counts[key]


@lru_cache(maxsize=1)
def text_index_of(split: Split) -> TextIndex:
    """The index of a split's training part, kept for the next call with the same split."""
    return TextIndex(split)


def scored_at_once(tokenizer: Tokenizer) -> int:
    """Tokens of held-out text that are scored, and whose logits are held at once."""
    return max(256, min(MAX_SCORED_TOKENS, MAX_LOGITS // tokenizer.vocab_size))


def _first(texts: Sequence[str], characters: int) -> tuple[str, ...]:
    """The first texts that hold so many characters; a single one is cut."""
    ends = np.cumsum([len(text) for text in texts])
    count = int(np.searchsorted(ends, characters)) + 1
    return tuple(text[:characters] for text in texts[:count])
