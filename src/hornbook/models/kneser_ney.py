"""Kneser-Ney counts that can leave one token out: what a network is trained on top of.

As a model by itself this is `ngram` (`models/ngram.py`): interpolated modified Kneser-Ney. But a
network that is trained beside those counts would see, at every token of the training part, counts that
contain this very token. With five tokens of context nearly all of them are certain and right; it would
learn to trust them, and on another text they are often wrong. So in training each token is predicted by
the counts of *all others* (leave-one-out; Ney, Essen and Kneser 1995), as counts predict a new text.

Taking away one occurrence of a context h with the token w changes few numbers, so nothing is counted
again. With

    c(h, w)   the count of w after h: occurrences, if h is of the longest contexts or begins a document;
              otherwise the number of different tokens that were seen before h w
    n(h)      the sum of c(h, w) over w
    D(c)      the discount of a count: 0, D1, D2 or D3+ for 0, 1, 2, or 3 and more

    p(w | h) = (c(h, w) - D(c(h, w))) / n(h) + sum over v of D(c(h, v)) / n(h) * p(w | shorter h)

it makes c(h, w) and n(h) smaller by d, and the sum of discounts by D(c(h, w)) - D(c(h, w) - d). Where c
counts occurrences, d is 1. Where it counts different tokens, d is 1 if the longer pair occurred only
here, else 0. The discounts stay those of the whole text.

A stream repeats itself nearby, so a whole block of it is left out instead (`models/blocks.py`), where
the model has counted it; loaded weights leave out the token.

Two approximations: for the first tokens of a row that begins in the midst of a text the longer context
is not known, and d is 1; and of a text that is too large to be counted whole, tokens that were not
counted are left out as if they had been.

Only what was counted is saved (keys, pairs, occurrences); the other tables follow from it.

B batch, T positions, V vocabulary, N tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hornbook.config import ModelConfig
from hornbook.errors import RunError
from hornbook.layers.counts import (
    Ints,
    add_entries,
    count_levels,
    counting_bytes,
    discounts,
    find,
    find_contexts,
    shorter_pairs,
)
from hornbook.models.base import LanguageModel, check_names
from hornbook.models.blocks import BlockCounts, count_blocks, find_blocks

FIT_BYTES = 96  # for each token and length of context, at most (66 to 76 measured, 2026-11-29)
BLOCK_BYTES = 90  # more of a stream, for its blocks (105 and tables of 74 to 81 in all, 2026-11-29)
UNFIT = "weights do not fit the model: tables of length {} are not counts of a text"
SMALLEST = 1e-10  # probability whose logarithm is taken
COUNTED = {"keys": torch.int64, "pairs": torch.int64, "raw": torch.int32}  # what is saved
DERIVED = {  # what follows from it
    "offsets": torch.int64,  # where the pairs of a context begin, (contexts + 1,)
    "next": torch.int64,  # the token of each pair
    "count": torch.int32,  # c, of each pair
    "left": torch.float32,  # c - D(c), of each pair
    "total": torch.float32,  # n, of each context
    "freed": torch.float32,  # the sum of its discounts
    "discounts": torch.float32,  # of counts of 0, 1, 2, 3 or more, (4,)
}


class KneserNey(LanguageModel):
    """p(next | last order - 1 tokens) from counts, with or without the predicted token itself."""

    sliding = True
    counted = fitted = True

    def __init__(
        self, config: ModelConfig, order: int, vocab_size: int, end_id: int | None
    ) -> None:
        super().__init__(config, vocab_size, end_id, context_length=max(1, order - 1))
        self.order = order
        self._counted = 0  # predictions of a stream that was counted, not loaded
        # before fitting no context is known, and p stays uniform
        sizes = {"offsets": 2, "total": 1, "freed": 1, "discounts": 4}
        for length in range(order):
            for table, dtype in (COUNTED | DERIVED).items():
                empty = torch.zeros(sizes.get(table, 0), dtype=dtype)
                self._set(table, length, empty)

    def _set(self, table: str, length: int, tensor: Tensor) -> None:
        self.register_buffer(f"{table}_{length}", tensor, persistent=table in COUNTED)

    def _table(self, table: str, length: int) -> Tensor:
        return self.get_buffer(f"{table}_{length}")

    @property
    def block_counts(self) -> list[BlockCounts]:
        """What blocks of a stream add to the counts of each length; nothing of documents."""
        names = [field.name for field in fields(BlockCounts)] if self._counted else []
        lengths = range(self.order if names else 0)
        return [BlockCounts(**{n: self._table(n, length) for n in names}) for length in lengths]

    def forward(self, ids: Tensor) -> Tensor:
        """(B, T) -> log probabilities (B, T, V)."""
        return self.log_probs(ids)[0]

    def training_logits(self, ids: Tensor, targets: Tensor) -> Tensor:
        """Each target predicted by the counts without itself, (B, T) -> log probabilities (B, T, V)."""
        return self.log_probs(ids, targets)[0]

    def log_probs(self, ids: Tensor, targets: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(B, T) -> log probabilities (B, T, V), and n of the context of each length, (B, T, order),
        0 where it was not counted.

        targets: (B, T); each is left out of the counts that predict it, but for those below 0.
        """
        keys = [self._table("keys", length) for length in range(self.order)]
        found = find_contexts(ids, keys, self.vocab_size, self.end_id)
        contexts = [context.flatten() for context in found]
        blocks = [] if targets is None else self.block_counts
        wanted = None if targets is None or blocks else targets.flatten()
        removed = None if wanted is None else self._removed(contexts, wanted)
        if blocks:
            grid = [context.view(ids.shape) for context in contexts]
            block = find_blocks(blocks, grid, self._counted).flatten()
        dtype = self._table("left", 0).dtype
        p = ids.new_full((ids.numel(), self.vocab_size), 1 / self.vocab_size, dtype=dtype)
        totals = []
        for length, context in enumerate(contexts):
            rank = context.clamp(min=0)
            total, freed = self._table("total", length)[rank], self._table("freed", length)[rank]
            if removed is not None:
                total, freed = total - removed[length].d, freed - removed[length].freed
            if blocks:
                of_block = blocks[length]
                key = of_block.find(context, block)
                total = total - _at(of_block.block_total, key)
                freed = freed - _at(of_block.block_freed, key)
            total = total.masked_fill(context < 0, 0.0)
            share = (1 / total).masked_fill(total <= 0, 0.0)  # of one count
            p *= (freed * share).masked_fill(total <= 0, 1.0)[:, None]
            self._add(length, context, share, p)
            if removed is not None and wanted is not None:
                less = (removed[length].left * share)[:, None]
                p.scatter_add_(1, wanted.clamp(min=0)[:, None], -less)
            if blocks:
                of_block.add(p, key, -share)
            totals.append(total)
        p = p.clamp_(min=SMALLEST).log_()
        return p.view(*ids.shape, -1), torch.stack(totals, -1).view(*ids.shape, -1)

    def _add(self, length: int, context: Tensor, share: Tensor, p: Tensor) -> None:
        """Adds share * (c - D(c)) of every token after these contexts, (rows,), to p, (rows, V)."""
        following, left = self._table("next", length), self._table("left", length)
        if length == 0:  # all rows alike
            p += share[:, None] * left.new_zeros(p.shape[1]).index_copy_(0, following, left)
            return
        rows = torch.nonzero(share).flatten()
        known, offsets = context[rows], self._table("offsets", length)
        bounds = offsets[known], offsets[known + 1]
        add_entries(p, rows, bounds, following, left, share[rows])

    def _removed(self, contexts: list[Tensor], targets: Tensor) -> list[_Removed]:
        """What leaving out these targets, (rows,), changes in the counts of each length of context."""
        places, raws = [], []
        for length, context in enumerate(contexts):
            pair = context.clamp(min=0) * self.vocab_size + targets.clamp(min=0)
            place = find(self._table("pairs", length), pair)
            place = torch.where((context >= 0) & (targets >= 0), place, -1)
            places.append(place)
            raws.append(_at(self._table("raw", length), place))
        removed = []
        for length, place in enumerate(places):
            d = (place >= 0).to(torch.int32)
            if length < self.order - 1:
                only = (raws[length + 1] == 1) | (contexts[length + 1] < 0)
                d *= only.to(torch.int32)
            count, discount = (
                _at(self._table("count", length), place),
                self._table("discounts", length),
            )
            fewer = count - d
            before, after = discount[count.clamp(max=3)], discount[fewer.clamp(max=3)]
            left = (count - before) - (fewer - after).clamp(min=0)
            removed.append(_Removed(d.to(left.dtype), before - after, left))
        return removed

    def fit(self, tokens: Tensor, starts: Tensor) -> None:
        """Counts a part: tokens (N,) with the unit starts (units + 1,). Replaces earlier counts."""
        read, begins = tokens.cpu().numpy(), starts.cpu().numpy()
        levels = list(count_levels(read, begins, self.order, self.vocab_size))
        self._derive([(level.keys, level.pairs, level.raw) for level in levels])
        if self.end_id is None:  # a stream
            self._counted = len(read) - 1
            blocks = count_blocks(levels, self._counted, self.vocab_size)
            for length, of_block in enumerate(blocks):
                for field in fields(of_block):
                    self._set(field.name, length, getattr(of_block, field.name).to(self.device))

    def _derive(self, levels: list[tuple[Ints, Ints, Ints]]) -> None:
        """Sets all tables from (keys, pairs, raw) of each length. Raises RunError where these cannot
        be of one text."""
        device = self.device
        for length, (keys, pairs, raw) in enumerate(levels):
            count, n = raw, max(1, len(keys))
            context, following = np.divmod(pairs, self.vocab_size)
            if length + 1 < len(levels):
                longer, longer_pairs, _ = levels[length + 1]
                inside, known = shorter_pairs(longer, longer_pairs, pairs, self.vocab_size)
                if not known.all():
                    raise RunError(UNFIT.format(length + 1))
                distinct = np.bincount(inside, minlength=len(pairs))
                count = np.where(distinct > 0, distinct, raw)
            discount = discounts(count)
            taken = discount[np.minimum(count, 3)]
            tables: dict[str, NDArray[np.generic]] = {
                "keys": keys, "pairs": pairs, "raw": raw, "next": following, "count": count,
                "offsets": np.concatenate([[0], np.cumsum(np.bincount(context, minlength=n))]),
                "left": count - taken, "total": np.bincount(context, count, n),
                "freed": np.bincount(context, taken, n), "discounts": discount,
            }  # fmt: skip
            for table, dtype in (COUNTED | DERIVED).items():
                array = torch.from_numpy(np.ascontiguousarray(tables[table]))
                self._set(table, length, array.to(dtype).to(device))

    def fit_bytes(self, n_tokens: int) -> int:
        """The tables, and what counting takes beside them, at most."""
        each = FIT_BYTES + (BLOCK_BYTES if self.end_id is None else 0)
        return counting_bytes(n_tokens, self.order, each)

    @property
    def n_parameters(self) -> int:
        """How many counts are stored."""
        return sum(len(self._table("pairs", length)) for length in range(self.order))

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """What was counted, whose sizes depend on the text. Raises RunError where it does not fit."""
        self.check_weights(weights)
        levels = []
        for length in range(self.order):
            keys, pairs, raw = (weights[f"{t}_{length}"].long().cpu().numpy() for t in COUNTED)
            fits = len(pairs) == len(raw) and all(
                not len(a) or (a[0] >= 0 and bool((np.diff(a) > 0).all())) for a in (keys, pairs)
            )
            contexts = len(keys) if length else 1
            last = int(pairs[-1]) // self.vocab_size if len(pairs) else -1
            if not fits or last >= contexts or (len(raw) and raw.min() < 1):
                raise RunError(UNFIT.format(length))
            levels.append((keys, pairs, raw))
        self._derive(levels)

    def check_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Names, dtypes and that each table is a vector."""
        expected = {f"{t}_{k}": d for k in range(self.order) for t, d in COUNTED.items()}
        check_names(expected.keys(), weights.keys())
        for name, dtype in expected.items():
            if weights[name].dtype != dtype or weights[name].ndim != 1:
                raise RunError(
                    f"weights do not fit the model: {name}: found {tuple(weights[name].shape)} "
                    f"{weights[name].dtype}, expected a vector of {dtype}"
                )


@dataclass(frozen=True)
class _Removed:
    """What is taken away, (rows,) each: from n, the sum of discounts, and the target's c - D(c)."""

    d: Tensor
    freed: Tensor
    left: Tensor


def _at(table: Tensor, place: Tensor) -> Tensor:
    """The entries of a table at these places, 0 where a place is -1."""
    if not len(table):
        return table.new_zeros(place.shape)
    return torch.where(place >= 0, table[place.clamp(min=0)], 0)
