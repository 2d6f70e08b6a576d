"""Batches as a function of (seed, step, rank) alone, so that resuming needs no state.

The tokens of a part are one tensor on the device; a batch is an index into it. Those of a large part
are on the CPU a memory map, of which only what a batch needs is ever read. Sequences: rows of
`length` tokens in which every position is predicted, documents packed whole so that no padding is
computed. Windows: single predictions, each with its context, padded on the left with the id that
starts it (the notes' examples).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from hornbook.data.packing import IntArray, Rows
from hornbook.data.part import Part
from hornbook.data.tuning import (
    DOCUMENTS_PER_PASS,
    ITEMS_PER_PASS,
    LOOKAHEAD_STEPS,
    LOOKAHEAD_WINDOWS,
    RESIDENT_TOKENS,
    WINDOW_TABLE_IDS,
)
from hornbook.tokenizers.base import Ids

IGNORE = -1  # a target that is not scored


def resident(tokens: Ids, device: torch.device | str) -> Tensor:
    """The tokens of a part on a device, (N,): int64, but many of them as they are (uint8, uint16).

    Many are converted as they are drawn, so that a memory map stays one; few are converted once.
    """
    if len(tokens) > RESIDENT_TOKENS:
        return torch.from_numpy(tokens).to(device)
    return torch.from_numpy(tokens.astype(np.int64)).to(device)


def share_of(n: int, rank: int, world_size: int) -> tuple[int, int]:
    """The first of n items that a rank takes, and the one after its last; shares differ by one at most.

    >>> [share_of(10, rank, 4) for rank in range(4)]
    [(0, 2), (2, 5), (5, 7), (7, 10)]
    """
    return n * rank // world_size, n * (rank + 1) // world_size


@dataclass(frozen=True, kw_only=True)
class Draw:
    """How batches are drawn: `batch_size` items a step, by epochs (a new permutation each) or at
    random with replacement; of `world_size` processes each takes its own share of them."""

    batch_size: int | Literal["all"]
    seed: int
    sampling: Literal["epochs", "random"] = "epochs"
    rank: int = 0
    world_size: int = 1


class Batches:
    """`batch(step)` gives ids (B, T) int64 and targets, (B, T) or (B,) int64 with IGNORE.

    items_per_epoch: rows or windows in the part. batch_size: of them, how many make a batch, of all
    processes together; share: the first and the last of these that this process takes.
    An epoch of a large part is made of several passes, each over every n-th item, so that no order
    of them all has to be held; else an epoch is one pass. overlapping: its rows begin at any token.
    """

    overlapping = False

    def __init__(
        self,
        part: Part,
        length: int,
        draw: Draw,
        items: int,
        device: torch.device | str,
        passes: int = 1,
    ) -> None:
        self.length, self.draw = length, draw
        self.full = draw.batch_size == "all"
        self.batch_size = items if draw.batch_size == "all" else min(draw.batch_size, items)
        self.share = share_of(self.batch_size, draw.rank, draw.world_size)
        self.passes = 1 if self.full else passes
        self.items_per_pass = items // self.passes
        self.items_per_epoch = self.items_per_pass * self.passes
        self.tokens = resident(part.tokens, device)
        self.answers = None if part.answers is None else torch.from_numpy(part.answers).to(device)
        self._order: tuple[int, IntArray] = (-1, np.empty(0, dtype=np.int64))

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """The batch of a step, counted from 0."""
        raise NotImplementedError

    def several(self, step: int, n: int) -> tuple[Tensor, Tensor]:
        """The batches of n steps from `step` on, one more dimension in front."""
        ids, targets = zip(*(self.batch(step + i) for i in range(n)), strict=True)
        return torch.stack(ids), torch.stack(targets)

    def take(self, positions: Tensor) -> Tensor:
        """The tokens at `positions`, as int64."""
        return self.tokens[positions].long()

    def take_targets(self, positions: Tensor) -> Tensor:
        """The tokens that follow those at `positions`; IGNORE where they are not of an answer."""
        targets = self.take(positions + 1)
        if self.answers is None:
            return targets
        return targets.masked_fill(~self.answers[positions + 1], IGNORE)

    def generator(self, purpose: int, number: int) -> np.random.Generator:
        """The generator of one pass (or block of random draws), another for each purpose."""
        return np.random.default_rng([self.draw.seed, purpose, number])

    def items(self, step: int) -> list[tuple[int, IntArray]]:
        """What a batch is made of: (pass, items of that pass), mostly one pair."""
        begin, end = self.share
        if self.full:
            return [(0, np.arange(begin, end))]
        n, size = self.items_per_pass, end - begin
        first = step * self.batch_size + begin
        pairs = []
        while size > 0:
            number, begin = divmod(first, n)
            count = min(size, n - begin)
            if self._order[0] != number:
                self._order = (number, self.order(number))
            pairs.append((number, self._order[1][begin : begin + count]))
            first, size = first + count, size - count
        return pairs

    def order(self, number: int) -> IntArray:
        """The items of a pass in the order in which they are taken, (items_per_pass,)."""
        generator, n = self.generator(1, number), self.items_per_pass
        if self.draw.sampling == "random":
            return generator.integers(0, self.items_per_epoch, n)
        return generator.permutation(n) * self.passes + number % self.passes


class StreamBatches(Batches):
    """Blocks of a stream: a new shift and permutation each epoch, or random offsets (the notes)."""

    def __init__(
        self, part: Part, length: int, draw: Draw, device: torch.device | str = "cpu"
    ) -> None:
        self.overlapping = draw.sampling == "random" and draw.batch_size != "all"
        n = part.n_targets
        blocks = n - length + 1 if self.overlapping else max(1, n // length - 1)
        self._shifts = n - blocks * length + 1  # how far the blocks of an epoch can be shifted
        super().__init__(part, length, draw, blocks, device, -(-blocks // ITEMS_PER_PASS))

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """ids and targets, (B, length)."""
        starts = []
        for number, items in self.items(step):
            if not self.overlapping:
                shift = self.generator(2, number // self.passes).integers(self._shifts)
                items = items * self.length + shift
            starts.append(items)
        first = torch.from_numpy(np.concatenate(starts)).to(self.tokens.device)
        positions = first[:, None] + torch.arange(self.length, device=first.device)
        return self.take(positions), self.take(positions + 1)


class DocumentBatches(Batches):
    """Documents in a new order each epoch, packed whole into rows; longer ones in pieces.

    Many documents are packed in several passes, each of every n-th of them.
    """

    def __init__(
        self, part: Part, length: int, draw: Draw, device: torch.device | str = "cpu"
    ) -> None:
        self.draw, self.length, self.passes = draw, length, 1
        if draw.batch_size != "all":
            pieces = len(part.starts) - 1 + part.n_targets // length
            self.passes = -(-pieces // DOCUMENTS_PER_PASS)
        self._part, self._chunks = part, (-1, part.chunks(length, shard=(0, self.passes)))
        self._rows = (0, self._pack(0))
        rows = len(self._rows[1]) * self.passes
        super().__init__(part, length, draw, rows, device, self.passes)
        self._end = int(part.tokens[0])

    def _pack(self, number: int) -> Rows:
        shard = number % self.passes
        if self._chunks[0] != shard:
            self._chunks = (shard, self._part.chunks(self.length, shard=(shard, self.passes)))
        chunks = self._chunks[1]
        order = self.generator(2, number).permutation(len(chunks.start))
        if self._part.scored is not None:  # without those in which nothing is scored
            before = np.concatenate([[0], np.cumsum(self._part.scored)])
            first = chunks.start[order]
            order = order[before[first + chunks.count[order]] > before[first]]
        return Rows(chunks, order, self.length)

    def order(self, number: int) -> IntArray:
        """The rows one after the other: their documents are in random order already."""
        if self.draw.sampling == "random":
            return self.generator(1, number).integers(0, self.items_per_pass, self.items_per_pass)
        return np.arange(self.items_per_pass)

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """ids and targets, (B, length); empty positions hold the end id and are not scored."""
        pieces = []
        for number, items in self.items(step):
            if self._rows[0] != number:
                self._rows = (number, self._pack(number))
            rows = self._rows[1]
            if items[-1] - items[0] == len(items) - 1 and items[-1] < len(rows):
                pieces.append(rows.positions(int(items[0]), int(items[-1]) + 1)[0])
            else:  # a pass may pack into a few rows fewer than the first: then some come twice
                pieces += [rows.positions(i, i + 1)[0] for i in (items % len(rows)).tolist()]
        positions = torch.from_numpy(np.concatenate(pieces)).to(self.tokens.device)
        empty = positions < 0
        positions = positions.clamp(min=0)
        ids = self.take(positions).masked_fill(empty, self._end)
        return ids, self.take_targets(positions).masked_fill(empty, IGNORE)


class WindowBatches(Batches):
    """Single predictions: ids (B, length), the context of each, and targets (B,)."""

    def __init__(
        self, part: Part, length: int, draw: Draw, device: torch.device | str = "cpu"
    ) -> None:
        n = part.n_scored
        super().__init__(part, length, draw, n, device, -(-n // ITEMS_PER_PASS))
        self._scored: Tensor | None = None  # the positions whose predictions are
        if part.scored is not None:
            self._scored = torch.from_numpy(np.flatnonzero(part.scored)).to(self.tokens.device)
        self._starts = torch.from_numpy(part.starts).to(self.tokens.device)
        self._n, self._table = n, torch.empty(0, device=self.tokens.device)
        self._ahead: tuple[int, list[tuple[Tensor, Tensor]]] = (-1, [])

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """ids (B, length) and targets (B,)."""
        if self.full or self.batch_size > LOOKAHEAD_WINDOWS:
            return self._examples([items for _, items in self.items(step)])
        block, i = divmod(step, LOOKAHEAD_STEPS)
        if self._ahead[0] != block:
            ids, targets = self.several(block * LOOKAHEAD_STEPS, LOOKAHEAD_STEPS)
            self._ahead = (block, list(zip(ids.unbind(), targets.unbind(), strict=True)))
        return self._ahead[1][i]

    def several(self, step: int, n: int) -> tuple[Tensor, Tensor]:
        """As one batch, cut afterwards: at 32 windows it is the calls that cost."""
        ids, targets = self._examples(
            [items for at in range(step, step + n) for _, items in self.items(at)]
        )
        return ids.view(n, -1, self.length), targets.view(n, -1)

    def _examples(self, items: list[IntArray]) -> tuple[Tensor, Tensor]:
        item = torch.from_numpy(np.concatenate(items)).to(self.tokens.device)
        last = item if self._scored is None else self._scored[item]
        targets = self.take(last + 1)
        if self._n * self.length > WINDOW_TABLE_IDS:
            return self.windows(last), targets
        if not len(self._table):  # the notes' X: at 32 windows a step, one operation for six
            every = torch.arange(self._n, device=last.device)
            self._table = self.windows(every if self._scored is None else self._scored)
        return self._table[item], targets

    def windows(self, last: Tensor) -> Tensor:
        """The contexts (B, length) that end with the tokens at `last`, (B,)."""
        back = torch.arange(1 - self.length, 1, device=last.device)
        start = self._starts[torch.searchsorted(self._starts, last, right=True) - 1]
        return self.take(torch.maximum(last[:, None] + back, start[:, None]))


class MixedBatches(Batches):
    """Batches of two texts side by side: rows of the first, then rows of the second.

    Of several processes each takes its share of them all, which may be of one text alone.
    """

    def __init__(self, first: Batches, second: Batches) -> None:
        self.first, self.second = first, second
        self.length, self.draw = first.length, first.draw
        self.batch_size = first.batch_size + second.batch_size
        self.share = share_of(self.batch_size, self.draw.rank, self.draw.world_size)
        (begin, end), n = self.share, first.batch_size
        first.share = min(begin, n), min(end, n)
        second.share = max(begin - n, 0), max(end - n, 0)
        self.items_per_epoch = first.items_per_epoch
        self.overlapping = first.overlapping

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """ids and targets of both."""
        parts = (part for part in (self.first, self.second) if part.share[0] < part.share[1])
        ids, targets = zip(*(part.batch(step) for part in parts), strict=True)
        return torch.cat(ids), torch.cat(targets)


def shared(draw: Draw, share: float, rows: int) -> tuple[Draw, Draw]:
    """A draw of so many rows divided between two texts, at least one row each; `share` is the second's.

    >>> own, other = shared(Draw(batch_size=16, seed=0), 0.25, 16)
    >>> own.batch_size, other.batch_size
    (12, 4)
    """
    second = min(max(1, round(share * rows)), max(1, rows - 1))
    return replace(draw, batch_size=max(1, rows - second)), replace(draw, batch_size=second)


def build_batches(
    part: Part,
    examples: Literal["sequences", "windows"],
    length: int,
    draw: Draw,
    device: torch.device | str = "cpu",
) -> Batches:
    """The batches of a training part; `length` is that of the rows, or of a window's context."""
    if examples == "windows":
        return WindowBatches(part, length, draw, device)
    return (DocumentBatches if part.documents else StreamBatches)(part, length, draw, device)
