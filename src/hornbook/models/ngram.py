"""Counts of the last few tokens, smoothed: fitted in one pass, hard to beat for its price.

`kneser-ney` is interpolated modified Kneser-Ney (Chen and Goodman 1999): each context's counts are
reduced by a discount, and the probability that this frees is spread by the next shorter context, where
not occurrences count but the number of different contexts in which a token occurred. `add-k` adds k to
each count of the longest context (the notes' smoothing; k = 0 is none).

Both are stored in one form, for each length k of context, from the shortest:

    p = backoff[context] * p + value[context, next]        (contexts never seen: p stays)

A context of length k is known by (context of length k - 1, the token before it), so a chain of
binary searches finds all of them, and no key outgrows 64 bits. Contexts end at the start of a
document; those that begin with it are counted by occurrences, since nothing can precede it.

B batch, T positions, V vocabulary, N tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from hornbook.config import ModelConfig
from hornbook.errors import RunError
from hornbook.layers.documents import document_starts
from hornbook.models.base import LanguageModel, check_names

FIT_BYTES = 64  # for each token and length of context, at most (45 to 57 measured, 2026-11-29)
ENTRIES = 1 << 20  # of the tables, looked up at once
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
    fitted = True

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
        positions = torch.arange(T, device=ids.device).expand(B, T)
        starts = torch.zeros_like(ids)
        if self.end_id is not None:
            starts = document_starts(ids, self.end_id)
        context = torch.zeros_like(ids)  # rank of each position's context; -1: never seen
        # without context all positions are alike: one row
        p = ids.new_full((1, self.vocab_size), 1 / self.vocab_size, dtype=torch.float32)
        self._blend(0, context.flatten()[:1], p)
        p = p.repeat(B * T, 1)
        for length in range(1, self.order):
            older = positions - length + 1
            token = ids.gather(1, older.clamp(min=0))
            context = self._find(length, context * self.vocab_size + token, context >= 0)
            context = context.masked_fill(older < starts, -1)
            self._blend(length, context.flatten(), p)
        return p.log_().view(B, T, self.vocab_size)

    def _find(self, length: int, key: Tensor, alive: Tensor) -> Tensor:
        keys = self._table("keys", length)
        if not len(keys):
            return torch.full_like(key, -1)
        rank = torch.searchsorted(keys, key.contiguous()).clamp(max=len(keys) - 1)
        return torch.where(alive & (keys[rank] == key), rank, -1)

    def _blend(self, length: int, context: Tensor, p: Tensor) -> None:
        """Moves p, (rows, V), to the next longer context of each row, (rows,), in place."""
        rows = torch.nonzero(context >= 0).flatten()
        known = context[rows]
        backoff = self._table("backoff", length)
        factor = backoff.new_ones(len(p))
        factor[rows] = backoff[known]
        p *= factor[:, None]
        offsets = self._table("offsets", length)
        first, count = offsets[known], offsets[known + 1] - offsets[known]
        # a frequent context is followed by up to V tokens: some rows at a time
        piece = (count.cumsum(0) - 1).clamp(min=0) // ENTRIES
        for n in torch.unique_consecutive(piece, return_counts=True)[1].tolist():
            self._add(length, rows[:n], first[:n], count[:n], p)
            rows, first, count = rows[n:], first[n:], count[n:]

    def _add(self, length: int, rows: Tensor, first: Tensor, count: Tensor, p: Tensor) -> None:
        """Adds `count` values from entry `first` on to each of these rows of p."""
        row = rows.repeat_interleave(count)
        entry = torch.arange(len(row), device=row.device)
        entry += (first - count.cumsum(0) + count).repeat_interleave(count)
        p[row, self._table("next", length)[entry]] += self._table("value", length)[entry]

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
        return _divided(count.astype(np.float64), total, context)

    def fit_bytes(self, n_tokens: int) -> int:
        """The tables, and what counting takes beside them, where no context comes twice."""
        return FIT_BYTES * n_tokens * self.order

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


Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Level:
    """What occurs after contexts of one length: the contexts' keys, (contexts,); the pairs (context,
    next) as context * vocab_size + next, how often each occurs, and of how many different longer
    contexts' pairs it is the end, (pairs,)."""

    keys: Ints
    pairs: Ints
    raw: Ints
    distinct: Ints

    @property
    def n_contexts(self) -> int:
        """How many contexts; the empty one has no key."""
        return max(1, len(self.keys))


def count_levels(
    tokens: NDArray[np.integer], starts: Ints, order: int, vocab_size: int
) -> Iterator[Level]:
    """The level of each length of context from 0 to order - 1, of a part: tokens (N,) with the unit
    starts (units + 1,). Only two are in memory at a time."""
    n = len(tokens) - 1
    ids = tokens.astype(np.int64)
    depth = unit_depths(starts)
    context = np.zeros(n, dtype=np.int64)
    position = np.arange(n)
    keys = np.zeros(0, dtype=np.int64)
    shorter: Level | None = None
    for length in range(order):
        if length > 0:
            position = position[depth[position] >= length]
            keys, rank = np.unique(
                context[position] * vocab_size + ids[position - length + 1], return_inverse=True
            )
            context = np.full(n, -1, dtype=np.int64)
            context[position] = rank
        pairs, raw = np.unique(
            context[position] * vocab_size + ids[position + 1], return_counts=True
        )
        level = Level(keys, pairs, raw, np.zeros(len(pairs), dtype=np.int64))
        if shorter is not None:
            longer, following = np.divmod(pairs, vocab_size)
            inside = np.searchsorted(
                shorter.pairs, keys[longer] // vocab_size * vocab_size + following
            )
            shorter.distinct[:] = np.bincount(inside, minlength=len(shorter.pairs))
            yield shorter
        shorter = level
    if shorter is not None:
        yield shorter


def unit_depths(starts: Ints) -> Ints:
    """Of each prediction of a part, how many tokens of its unit it can see, (n_targets,)."""
    return np.arange(starts[-1]) - np.repeat(starts[:-1], np.diff(starts)) + 1


def kneser_ney(level: Level, vocab_size: int, *, longest: bool) -> tuple[Floats, Floats]:
    """The discounted value of each pair, (pairs,), and the backoff of each context, (contexts,).

    longest: whether occurrences count, as in the longest contexts; else different longer contexts.
    """
    context, n = level.pairs // vocab_size, level.n_contexts
    count = level.raw if longest else np.where(level.distinct > 0, level.distinct, level.raw)
    left = count - _discounts(count)[np.minimum(count, 3)]
    total = np.bincount(context, count, n)
    return _divided(left, total, context)


def _divided(left: Floats, total: NDArray[Any], context: Ints) -> tuple[Floats, Floats]:
    """Values and backoffs. Contexts that no prediction was counted in leave p as it is."""
    value = left / np.maximum(total, 1e-300)[context]
    backoff = np.where(total > 0, 1 - np.bincount(context, value, len(total)), 1.0)
    return value, np.maximum(backoff, 0)


def _discounts(counts: Ints) -> Floats:
    """The discounts of counts of 0, 1, 2 and 3 or more (Chen and Goodman 1999, equation 26)."""
    n1, n2, n3, n4 = (float(np.sum(counts == c)) for c in (1, 2, 3, 4))
    if not n1 * n2:
        return np.array([0.0, 0.5, 0.75, 0.9])  # too few counts for an estimate
    y = n1 / (n1 + 2 * n2)
    d = [0.0, 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3 if n3 else 1.5]
    return np.clip(d, [0, 0.05, 0.05, 0.05], [0, 0.95, 1.95, 2.95])
