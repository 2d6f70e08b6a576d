"""Counts of the last few tokens, smoothed: fitted in one pass, hard to beat for its price.

`kneser-ney` is interpolated modified Kneser-Ney (Chen and Goodman 1999): each context's counts are
reduced by a discount, and the probability that this frees is spread by the next shorter context, where
not occurrences count but the number of different contexts in which a token occurred. `add-k` adds k to
each count of the longest context (the notes' smoothing; k = 0 is none).

Both are stored in one form, for each length k of context, from the shortest:

    p = backoff[context] * p + value[context, next]        (contexts never seen: p stays)

How they are counted and found: `layers/counts.py`.

B batch, T positions, V vocabulary, N tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from hornbook.config import ModelConfig
from hornbook.errors import RunError
from hornbook.layers.counts import (
    Floats,
    Level,
    add_entries,
    count_levels,
    counting_bytes,
    divided,
    find_contexts,
    kneser_ney,
)
from hornbook.models.base import LanguageModel, check_names

FIT_BYTES = 64  # for each token and length of context, at most (45 to 57 measured, 2026-11-29)
TABLES = {
    "keys": torch.int64,
    "backoff": torch.float32,
    "offsets": torch.int64,
    "next": torch.int64,
    "value": torch.float32,
}


class NGramConfig(ModelConfig):
    """The length and smoothing of an n-gram model."""

    name: Literal["ngram"] = "ngram"
    order: int = Field(5, gt=0, le=32, description="tokens counted together: order - 1 of context")
    smoothing: Literal["kneser-ney", "add-k"] = Field("kneser-ney", description="method")
    k: float = Field(1.0, ge=0, description="added to each count by add-k")


class NGram(LanguageModel):
    """p(next | last order - 1 tokens) from counts."""

    sliding = True
    counted = fitted = True

    def __init__(self, config: NGramConfig, vocab_size: int, end_id: int | None) -> None:
        super().__init__(config, vocab_size, end_id, context_length=max(1, config.order - 1))
        self.order = config.order
        self.smoothing, self.k = config.smoothing, config.k
        for length in range(config.order):
            # before fitting no context is known, and p stays uniform
            empty = {"backoff": torch.ones(1), "offsets": torch.zeros(2, dtype=torch.int64)}
            for table, dtype in TABLES.items():
                tensor = empty.get(table, torch.zeros(0, dtype=dtype))
                self.register_buffer(f"{table}_{length}", tensor)

    def _table(self, table: str, length: int) -> Tensor:
        return self.get_buffer(f"{table}_{length}")

    def forward(self, ids: Tensor) -> Tensor:
        """(B, T) -> log probabilities (B, T, V)."""
        B, T = ids.shape  # noqa: N806
        keys = [self._table("keys", length) for length in range(self.order)]
        contexts = find_contexts(ids, keys, self.vocab_size, self.end_id)
        # without context all positions are alike: one row
        p = ids.new_full((1, self.vocab_size), 1 / self.vocab_size, dtype=torch.float32)
        self._blend(0, next(contexts).flatten()[:1], p)
        p = p.repeat(B * T, 1)
        for length, context in enumerate(contexts, start=1):
            self._blend(length, context.flatten(), p)
        return p.log_().view(B, T, self.vocab_size)

    def _blend(self, length: int, context: Tensor, p: Tensor) -> None:
        """Moves p, (rows, V), to the next longer context of each row, (rows,), in place."""
        rows = torch.nonzero(context >= 0).flatten()
        known = context[rows]
        backoff = self._table("backoff", length)
        factor = backoff.new_ones(len(p))
        factor[rows] = backoff[known]
        p *= factor[:, None]
        offsets = self._table("offsets", length)
        bounds = offsets[known], offsets[known + 1]
        add_entries(p, rows, bounds, self._table("next", length), self._table("value", length))

    def fit(self, tokens: Tensor, starts: Tensor) -> None:
        """Counts a part: tokens (N,) with the unit starts (units + 1,). Replaces earlier counts."""
        levels = count_levels(
            tokens.cpu().numpy(), starts.cpu().numpy(), self.order, self.vocab_size
        )
        device = self.device
        for length, level in enumerate(levels):
            n = level.n_contexts
            context, following = np.divmod(level.pairs, self.vocab_size)
            longest = length == self.order - 1
            if self.smoothing == "kneser-ney":
                value, backoff = kneser_ney(level, self.vocab_size, longest=longest)
            else:
                value, backoff = self._add_k(level, longest=longest)
            tables = {
                "keys": level.keys,
                "backoff": backoff,
                "offsets": np.concatenate([[0], np.cumsum(np.bincount(context, minlength=n))]),
                "next": following,
                "value": value,
            }
            for table, dtype in TABLES.items():
                array = torch.from_numpy(np.ascontiguousarray(tables[table]))
                self.register_buffer(f"{table}_{length}", array.to(dtype).to(device))

    def _add_k(self, level: Level, *, longest: bool) -> tuple[Floats, Floats]:
        """Values of pairs and backoffs of contexts: shorter contexts count only where a document
        begins, as there is no longer one."""
        context, n = level.pairs // self.vocab_size, level.n_contexts
        closed = np.bincount(context, level.distinct, n) == 0
        count = np.where(longest | closed[context], level.raw, 0)
        counted = np.bincount(context, count, n)
        total = counted + self.k * self.vocab_size * (counted > 0)
        return divided(count.astype(np.float64), total, context)

    def fit_bytes(self, n_tokens: int) -> int:
        """The tables, and what counting takes beside them, at most."""
        return counting_bytes(n_tokens, self.order, FIT_BYTES)

    @property
    def n_parameters(self) -> int:
        """How many probabilities are stored."""
        return sum(len(self._table("value", length)) for length in range(self.order))

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """The tables, whose sizes depend on the text. Raises RunError where they do not fit."""
        self.check_weights(weights)
        for length in range(self.order):
            keys, backoff, offsets, following, value = (weights[f"{t}_{length}"] for t in TABLES)
            fits = (
                len(backoff) == max(1, len(keys)) == len(offsets) - 1
                and len(value) == len(following) == int(offsets[-1])
                and bool((offsets.diff() >= 0).all())
                and int(offsets[0]) == 0
                and (not len(following) or int(following.min()) >= 0)
                and (not len(following) or int(following.max()) < self.vocab_size)
            )
            if not fits:
                raise RunError(
                    f"weights do not fit the model: tables of length {length} disagree in their sizes"
                )
        for name, tensor in weights.items():
            self.register_buffer(name, tensor.to(self.device))

    def check_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Names, dtypes and that each table is a vector."""
        expected = {f"{t}_{k}": d for k in range(self.order) for t, d in TABLES.items()}
        check_names(expected.keys(), weights.keys())
        for name, dtype in expected.items():
            if weights[name].dtype != dtype or weights[name].ndim != 1:
                raise RunError(
                    f"weights do not fit the model: {name}: found {tuple(weights[name].shape)} "
                    f"{weights[name].dtype}, expected a vector of {dtype}"
                )
