"""Batches as a function of (seed, step, rank) alone, so that resuming needs no state.

The tokens of a part lie on the device as one tensor; a batch is an index into it. Sequences: rows of
`length` tokens in which every place is predicted, documents packed whole so that no padding is
computed. Windows: single predictions, each with its context, padded on the left with the id that
starts it (the notes' examples).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from hornbook.data.part import IntArray, Part, Rows

IGNORE = -1  # a target that is not scored


@dataclass(frozen=True, kw_only=True)
class Draw:
    """How batches are drawn: `batch_size` items an update, by epochs (a new permutation each) or at
    random with replacement; of `world_size` processes each takes its own share."""

    batch_size: int | Literal["all"]
    seed: int
    sampling: Literal["epochs", "random"] = "epochs"
    rank: int = 0
    world_size: int = 1


class Batches:
    """`batch(step)` gives ids (B, T) int64 and targets, (B, T) or (B,) int64 with IGNORE.

    items_per_epoch: rows or windows in the part. batch_size: of them, how many make a batch.
    """

    def __init__(
        self, part: Part, length: int, draw: Draw, items: int, device: torch.device | str
    ) -> None:
        self.length = length
        self.draw = draw
        self.items_per_epoch = items
        self.full = draw.batch_size == "all"
        self.batch_size = items if draw.batch_size == "all" else min(draw.batch_size, items)
        self.tokens = torch.from_numpy(part.tokens.astype(np.int64)).to(device)
        self._order: tuple[int, IntArray] = (-1, np.empty(0, dtype=np.int64))

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """The batch of an update, counted from 0."""
        raise NotImplementedError

    def generator(self, purpose: int, epoch: int) -> np.random.Generator:
        """The generator of one epoch (or block of random draws), another for each purpose."""
        return np.random.default_rng([self.draw.seed, purpose, epoch])

    def items(self, step: int) -> list[tuple[int, IntArray]]:
        """What a batch is made of: (epoch, items of that epoch), mostly one pair."""
        if self.full:
            return [(0, np.arange(self.items_per_epoch))]
        n, size = self.items_per_epoch, self.batch_size
        first = (step * self.draw.world_size + self.draw.rank) * size
        pairs = []
        while size > 0:
            epoch, begin = divmod(first, n)
            count = min(size, n - begin)
            if self._order[0] != epoch:
                self._order = (epoch, self.order(epoch))
            pairs.append((epoch, self._order[1][begin : begin + count]))
            first, size = first + count, size - count
        return pairs

    def order(self, epoch: int) -> IntArray:
        """The items of an epoch in the order in which they are taken, (items_per_epoch,)."""
        generator, n = self.generator(1, epoch), self.items_per_epoch
        if self.draw.sampling == "random":
            return generator.integers(0, n, n)
        return generator.permutation(n)


class StreamBatches(Batches):
    """Blocks of a stream: a new shift and permutation each epoch, or random offsets (the notes)."""

    def __init__(
        self, part: Part, length: int, draw: Draw, device: torch.device | str = "cpu"
    ) -> None:
        self._random = draw.sampling == "random" and draw.batch_size != "all"
        n = part.n_targets
        blocks = n - length + 1 if self._random else max(1, n // length - 1)
        self._shifts = n - blocks * length + 1  # how far the blocks of an epoch can be shifted
        super().__init__(part, length, draw, blocks, device)

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """ids and targets, (B, length)."""
        starts = []
        for epoch, items in self.items(step):
            if self._random:
                starts.append(items)
            else:
                shift = self.generator(2, epoch).integers(self._shifts)
                starts.append(items * self.length + shift)
        first = torch.from_numpy(np.concatenate(starts)).to(self.tokens.device)
        places = first[:, None] + torch.arange(self.length, device=first.device)
        return self.tokens[places], self.tokens[places + 1]


class DocumentBatches(Batches):
    """Documents in a new order each epoch, packed whole into rows; longer ones in pieces."""

    def __init__(
        self, part: Part, length: int, draw: Draw, device: torch.device | str = "cpu"
    ) -> None:
        self.draw, self.length = draw, length
        self._chunks = part.chunks(length)
        self._rows = (0, self._pack(0))
        super().__init__(part, length, draw, len(self._rows[1]), device)
        self._end = int(part.tokens[0])

    def _pack(self, epoch: int) -> Rows:
        order = self.generator(2, epoch).permutation(len(self._chunks.start))
        return Rows(self._chunks, order, self.length)

    def order(self, epoch: int) -> IntArray:
        """The rows one after the other: their documents are in random order already."""
        if self.draw.sampling == "random":
            return super().order(epoch)
        return np.arange(self.items_per_epoch)

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """ids and targets, (B, length); empty places hold the end id and are not scored."""
        pieces = []
        for epoch, items in self.items(step):
            if self._rows[0] != epoch:
                self._rows = (epoch, self._pack(epoch))
            rows = self._rows[1]
            if items[-1] - items[0] == len(items) - 1 and items[-1] < len(rows):
                pieces.append(rows.positions(int(items[0]), int(items[-1]) + 1)[0])
            else:  # an epoch may pack into a few rows fewer than the first: then some come twice
                pieces += [rows.positions(i, i + 1)[0] for i in (items % len(rows)).tolist()]
        places = torch.from_numpy(np.concatenate(pieces)).to(self.tokens.device)
        empty = places < 0
        places = places.clamp(min=0)
        ids = self.tokens[places].masked_fill(empty, self._end)
        return ids, self.tokens[places + 1].masked_fill(empty, IGNORE)


class WindowBatches(Batches):
    """Single predictions: ids (B, length), the context of each, and targets (B,)."""

    def __init__(
        self, part: Part, length: int, draw: Draw, device: torch.device | str = "cpu"
    ) -> None:
        super().__init__(part, length, draw, part.n_targets, device)
        start_of = np.repeat(part.starts[:-1], np.diff(part.starts))
        self._start_of = torch.from_numpy(start_of).to(self.tokens.device)

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """ids (B, length) and targets (B,)."""
        items = np.concatenate([items for _, items in self.items(step)])
        last = torch.from_numpy(items).to(self.tokens.device)
        return self.windows(last), self.tokens[last + 1]

    def windows(self, last: Tensor) -> Tensor:
        """The contexts (B, length) that end with the tokens at `last`, (B,)."""
        back = torch.arange(1 - self.length, 1, device=last.device)
        return self.tokens[torch.maximum(last[:, None] + back, self._start_of[last][:, None])]


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
