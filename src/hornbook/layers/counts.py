"""Counting n-grams, and finding their contexts again: what the models of counts share.

A context of length k is known by (context of length k - 1, the token before it), so a chain of
binary searches finds all of them, and no key outgrows 64 bits. Contexts end at the start of a
document; those that begin with it are counted by occurrences, since nothing can precede it.

B batch, T positions, V vocabulary, N tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hornbook.layers.documents import document_starts

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

ENTRIES = 1 << 20  # of the tables, looked up at once


@dataclass(frozen=True)
class Level:
    """What occurs after contexts of one length: the contexts' keys, (contexts,); the pairs (context,
    next) as context * vocab_size + next, how often each occurs, and of how many different longer
    contexts' pairs it is the end, (pairs,).

    place: the pair of each prediction of the part, (n_targets,), -1 where its unit begins later.
    """

    keys: Ints
    pairs: Ints
    raw: Ints
    distinct: Ints
    place: Ints

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
    context, position = np.zeros(n, dtype=np.int64), np.arange(n)
    shorter: Level | None = None
    for length in range(order):
        keys = np.zeros(0, dtype=np.int64)
        if length > 0:
            position = position[depth[position] >= length]
            keys, rank = _contexts(shorter, context, position, ids, length, vocab_size)
            context = np.full(n, -1, dtype=np.int64)
            context[position] = rank
        found, bound = context[position] * vocab_size + ids[position + 1], max(1, len(keys))
        pairs, where, raw = _distinct(found, bound * vocab_size)
        place = np.full(n, -1, dtype=np.int64)
        place[position] = where
        level = Level(keys, pairs, raw, np.zeros(len(pairs), dtype=np.int64), place)
        if shorter is not None:
            inside, _ = shorter_pairs(keys, pairs, shorter.pairs, vocab_size)
            shorter.distinct[:] = np.bincount(inside, minlength=len(shorter.pairs))
            yield shorter
        shorter = level
    if shorter is not None:
        yield shorter


def _contexts(
    shorter: Level | None, context: Ints, position: Ints, ids: Ints, length: int, vocab_size: int
) -> tuple[Ints, Ints]:
    """The sorted keys of the contexts of a length, and the rank of that at each position.

    A context is the same tokens as a pair of the shorter contexts that ends a position earlier, and
    those are ranked already: so one position of each pair is enough. context: the shorter contexts.
    """
    if shorter is None or length == 1:
        keys, rank, _ = _distinct(ids[position], vocab_size)
        return keys, rank
    pair = shorter.place[position - 1]
    one = np.full(len(shorter.pairs), -1, dtype=np.int64)
    one[pair] = position
    known = np.flatnonzero(one >= 0)
    at = one[known]
    keys = context[at] * vocab_size + ids[at - length + 1]
    order = np.argsort(keys)
    one[known[order]] = np.arange(len(order))
    return keys[order], one[pair]


def _distinct(values: Ints, bound: int) -> tuple[Ints, Ints, Ints]:
    """The distinct values, sorted, where each value is among them, and how often each occurs. bound:
    above all; where it is low, nothing has to be sorted."""
    if bound > 2 * len(values):
        return np.unique(values, return_inverse=True, return_counts=True)
    counts = np.bincount(values, minlength=bound)
    return np.flatnonzero(counts), (np.cumsum(counts > 0) - 1)[values], counts[counts > 0]


def counting_bytes(n_tokens: int, order: int, each: int) -> int:
    """Bytes that counting takes at most. each: of a token and a length of context."""
    return each * n_tokens * order


def shorter_pairs(
    keys: Ints, pairs: Ints, shorter: Ints, vocab_size: int
) -> tuple[Ints, NDArray[np.bool_]]:
    """Where each pair is among the pairs of contexts that are one token shorter, and whether it is
    there, (pairs,) each. keys: of the pairs' contexts."""
    context, following = np.divmod(pairs, vocab_size)
    wanted = keys[context] // vocab_size * vocab_size + following
    inside = np.searchsorted(shorter, wanted)
    found = inside < len(shorter)
    found[found] = shorter[inside[found]] == wanted[found]
    return inside, found


def unit_depths(starts: Ints) -> Ints:
    """Of each prediction of a part, how many tokens of its unit it can see, (n_targets,)."""
    return np.arange(starts[-1]) - np.repeat(starts[:-1], np.diff(starts)) + 1


def kneser_ney(level: Level, vocab_size: int, *, longest: bool) -> tuple[Floats, Floats]:
    """The discounted value of each pair, (pairs,), and the backoff of each context, (contexts,).

    longest: whether occurrences count, as in the longest contexts; else different longer contexts.
    """
    context, n = level.pairs // vocab_size, level.n_contexts
    count = level.raw if longest else np.where(level.distinct > 0, level.distinct, level.raw)
    left = count - discounts(count)[np.minimum(count, 3)]
    total = np.bincount(context, count, n)
    return divided(left, total, context)


def divided(left: Floats, total: NDArray[Any], context: Ints) -> tuple[Floats, Floats]:
    """Values and backoffs. Contexts that no prediction was counted in leave p as it is."""
    value = left / np.maximum(total, 1e-300)[context]
    backoff = np.where(total > 0, 1 - np.bincount(context, value, len(total)), 1.0)
    return value, np.maximum(backoff, 0)


def discounts(counts: Ints) -> Floats:
    """The discounts of counts of 0, 1, 2 and 3 or more (Chen and Goodman 1999, equation 26)."""
    n1, n2, n3, n4 = (float(np.sum(counts == c)) for c in (1, 2, 3, 4))
    if not n1 * n2:
        return np.array([0.0, 0.5, 0.75, 0.9])  # too few counts for an estimate
    y = n1 / (n1 + 2 * n2)
    d = [0.0, 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3 if n3 else 1.5]
    return np.clip(d, [0, 0.05, 0.05, 0.05], [0, 0.95, 1.95, 2.95])


def find_contexts(
    ids: Tensor, keys: Sequence[Tensor], vocab_size: int, end_id: int | None
) -> Iterator[Tensor]:
    """The context of each length before every prediction, (B, T) -> (B, T) for each entry of keys.

    keys: of the contexts of each length, sorted; those of length 0 are not read. A context is its
    rank among them, -1 where it was not counted or reaches beyond its document.
    """
    positions = torch.arange(ids.shape[1], device=ids.device).expand(ids.shape)
    starts = torch.zeros_like(ids) if end_id is None else document_starts(ids, end_id)
    context = torch.zeros_like(ids)
    yield context
    for length in range(1, len(keys)):
        older = positions - length + 1
        token = ids.gather(1, older.clamp(min=0))
        found = find(keys[length], context * vocab_size + token)
        context = torch.where((context >= 0) & (older >= starts), found, -1)
        yield context


def find(keys: Tensor, wanted: Tensor) -> Tensor:
    """The rank of each wanted key among sorted keys, like wanted; -1 where it is not there."""
    if not len(keys):
        return torch.full_like(wanted, -1)
    rank = torch.searchsorted(keys, wanted.contiguous()).clamp(max=len(keys) - 1)
    return torch.where(keys[rank] == wanted, rank, -1)


def add_entries(
    p: Tensor,
    rows: Tensor,
    bounds: tuple[Tensor, Tensor],
    following: Tensor,
    value: Tensor,
    scale: Tensor | None = None,
) -> None:
    """p[row, following[e]] += value[e], in place, for the entries e of each of these rows of p.

    p (n, V), contiguous; rows (r,). bounds: the first entry of each row, and the one after its last,
    (r,) each. scale: a factor for each row, (r,).
    """
    first, count = bounds[0], bounds[1] - bounds[0]
    # a frequent context is followed by up to V tokens: some rows at a time
    piece = (count.cumsum(0) - 1).clamp(min=0) // ENTRIES
    for n in torch.unique_consecutive(piece, return_counts=True)[1].tolist():
        row = torch.arange(n, device=p.device).repeat_interleave(count[:n])
        entry = torch.arange(len(row), device=p.device)
        entry += (first[:n] - count[:n].cumsum(0) + count[:n])[row]
        added = (value[entry] if scale is None else value[entry] * scale[row]).to(p.dtype)
        # no place comes twice, so the sum has no order
        p.view(-1).scatter_add_(0, rows[row] * p.shape[1] + following[entry], added)
        rows, first, count = rows[n:], first[n:], count[n:]
        scale = None if scale is None else scale[n:]
