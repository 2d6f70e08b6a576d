"""Counts: what followed the last few tokens in the training part, smoothed. T positions, V vocabulary.

A table for each length of context. A context is known by its rank: of length k it is a context of
length k - 1 and the token before it, and the tables' keys are rank * V + token, sorted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from hornbook.export.lesson.model import MODELS, Model
from hornbook.export.lesson.weights import Array


class Counts(Model):
    """p = backoff[context] * p + value[context, next], from the shortest context to the longest."""

    def forward(self, ids: Array) -> Array:
        """(T,) -> log probabilities (T, V)."""
        row = [*self.ids, *ids.tolist()]
        first = len(self.ids)
        return np.stack([self.log_probs(row[: t + 1])[0] for t in range(first, len(row))])

    def log_probs(self, ids: Sequence[int]) -> tuple[Array, Array]:
        """The log probabilities after some tokens, (V,), and how much was counted after each of
        their contexts, (order,)."""
        w = self.weights
        p = np.full(self.vocab_size, 1 / self.vocab_size, np.float32)
        seen = np.zeros(self.config["order"], np.float32)
        for length, rank in self.contexts(ids):
            first, last = w[f"offsets_{length}"][rank : rank + 2]
            p *= w[f"backoff_{length}"][rank]
            p[w[f"next_{length}"][first:last]] += w[f"value_{length}"][first:last]
            if f"total_{length}" in w:
                seen[length] = w[f"total_{length}"][rank]
        with np.errstate(divide="ignore"):  # without smoothing, p may be 0
            return np.log(np.maximum(p, np.float32(self.config["smallest"]))), seen

    def contexts(self, ids: Sequence[int]) -> Iterator[tuple[int, int]]:
        """The length and rank of each context that was counted, from the empty one."""
        rank = 0
        yield 0, rank
        for length in range(1, min(self.config["order"], len(ids) + 1)):
            keys, wanted = self.weights[f"keys_{length}"], rank * self.vocab_size + ids[-length]
            rank = int(np.searchsorted(keys, wanted))
            if rank == len(keys) or keys[rank] != wanted:
                return
            yield length, rank


MODELS["ngram"] = Counts
