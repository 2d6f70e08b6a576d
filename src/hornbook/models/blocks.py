"""Counts of a stream without the block that a row is from.

To leave out the predicted token alone is enough for documents, which are independent of each other.
A stream repeats itself nearby: names, phrases, whole passages come again within a page, and much
less so in the text after it. Counts of all other tokens are far better within the stream than they
are on a new one (order 10 on Python's documentation: 0.80 nats per token against 1.10), and a
network that is trained beside them trusts them too much. So the stream is cut into BLOCKS equal
blocks, and each row is predicted by the counts of the other blocks, as counts of a text predict the
text that follows it.

For each context and block this keeps what the block adds to the counts (`models/kneser_ney.py`): to
n, to the sum of discounts, and to c - D(c) of each token after the context. The discounts stay
those of the whole text. Where a row is from shows in where its longest contexts were counted first.

All of it follows from the text and is not saved.

B batch, T positions, V vocabulary, N tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hornbook.layers.counts import Ints, Level, add_entries, discounts, find

BLOCKS = 10


@dataclass(frozen=True)
class BlockCounts:
    """What blocks add to the counts after contexts of one length.

    block_keys: context * BLOCKS + block, sorted, (keys,). block_total, block_freed: what is added to n
    and to the sum of discounts, (keys,). block_offsets: where the entries of a key begin, (keys + 1,).
    block_next, block_left: a token after the context, and what is added to its c - D(c), (entries,).
    block_first: the prediction in which each context occurred first, (contexts,).
    """

    block_keys: Tensor
    block_total: Tensor
    block_freed: Tensor
    block_offsets: Tensor
    block_next: Tensor
    block_left: Tensor
    block_first: Tensor

    def find(self, context: Tensor, block: Tensor) -> Tensor:
        """The rank of each key, -1 where a context is not known or not in the block."""
        return torch.where(context >= 0, find(self.block_keys, context * BLOCKS + block), -1)

    def add(self, p: Tensor, key: Tensor, scale: Tensor) -> None:
        """Adds scale, (rows,), times c - D(c) of a key of each row, (rows,), to p, (rows, V)."""
        rows = torch.nonzero((key >= 0) & (scale != 0)).flatten()
        bounds = self.block_offsets[key[rows]], self.block_offsets[key[rows] + 1]
        add_entries(p, rows, bounds, self.block_next, self.block_left, scale[rows])


def count_blocks(levels: Sequence[Level], n: int, vocab_size: int) -> list[BlockCounts]:
    """Those of each length of context, of a stream of n predictions. levels: with their places."""
    block = np.arange(n) * BLOCKS // n
    counts = []
    for level, longer in zip(levels, [*levels[1:], None], strict=True):
        inside = np.flatnonzero(level.place >= 0)
        place = level.place[inside]
        where = block[inside]
        first = np.zeros(level.n_contexts, dtype=np.int64)
        first[level.pairs[place[::-1]] // vocab_size] = inside[::-1]  # the last assignment stays
        count = level.raw
        if longer is not None:
            closed = level.distinct[place] == 0  # counted by occurrences, as they begin a unit
            begins, only = _pairs_of_one_block(longer, block)
            place = np.concatenate([place[closed], level.place[begins]])
            where = np.concatenate([where[closed], only])
            count = np.where(level.distinct > 0, level.distinct, level.raw)
        counts.append(_entries(level, count, place, where, first, vocab_size))
    return counts


def _pairs_of_one_block(level: Level, block: Ints) -> tuple[Ints, Ints]:
    """A prediction in which each pair that occurs in one block alone occurs, and that block."""
    inside = np.flatnonzero(level.place >= 0)
    place = level.place[inside]
    first, last = (np.zeros(len(level.pairs), dtype=np.int64) for _ in range(2))
    first[place[::-1]] = inside[::-1]
    last[place] = inside
    first = first[block[first] == block[last]]
    return first, block[first]


def _entries(
    level: Level, count: Ints, place: Ints, where: Ints, first: Ints, vocab_size: int
) -> BlockCounts:
    """count: c of each pair. place, where: a pair and a block for each time that the block adds 1."""
    entry, added = np.unique(place * BLOCKS + where, return_counts=True)
    pair, block = np.divmod(entry, BLOCKS)
    context, following = np.divmod(level.pairs[pair], vocab_size)
    order = np.argsort(context * BLOCKS + block, kind="stable")
    pair, following, added = pair[order], following[order], added[order]
    keys, begin = np.unique((context * BLOCKS + block)[order], return_index=True)
    c, discount = count[pair], discounts(count)
    before, after = discount[np.minimum(c, 3)], discount[np.minimum(c - added, 3)]
    floats = {
        "block_total": np.add.reduceat(added, begin),
        "block_freed": np.add.reduceat(before - after, begin),
        "block_left": (c - before) - np.maximum((c - added) - after, 0),
    }
    ints = {
        "block_keys": keys,
        "block_offsets": np.append(begin, len(pair)),
        "block_next": following,
        "block_first": first,
    }
    return BlockCounts(
        **{name: torch.from_numpy(a.astype(np.float32)) for name, a in floats.items()},
        **{name: torch.from_numpy(a) for name, a in ints.items()},
    )


def find_blocks(counts: Sequence[BlockCounts], contexts: Sequence[Tensor], n: int) -> Tensor:
    """The block of each position, (B, T), by where the longest contexts of its row were counted first.

    contexts: of each length, (B, T), -1 where not known. n: predictions in the stream.
    """
    B, T = contexts[0].shape  # noqa: N806
    length = min(len(contexts), T) - 1
    context, steps = contexts[length], torch.arange(T, device=contexts[0].device)
    begin = counts[length].block_first[context.clamp(min=0)] - steps
    unknown = -n - torch.arange(B * T, device=begin.device).view(B, T)  # no two are alike
    begin = torch.where(context >= 0, begin, unknown).mode(1, keepdim=True).values
    return (begin + steps).clamp(0, n - 1) * BLOCKS // n
