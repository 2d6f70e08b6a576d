"""What layers keep of the rows they are going on with, so that a new token costs one place.

Rows finish at different times. `Moves` lets them leave a batch in place: the last rows that stay take
the places of those that go, and nothing else is copied.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional as F

from hornbook.layers.attention import causal_attention

FIRST = 16  # places that a cache has room for at first; then it doubles
SHORT = 32  # places up to which many rows take 2 to 4 times as long in the fused kernel


class Moves:
    """Which rows of a batch stay, and where they move."""

    def __init__(self, n: int, holes: Tensor, movers: Tensor) -> None:
        self.n, self.holes, self.movers = n, holes, movers

    @classmethod
    def of(cls, going: Tensor) -> Self:
        """The moves after which the rows where `going` (B,) bool holds are the first."""
        n = int(going.sum())
        return cls(n, (~going[:n]).nonzero()[:, 0], going[n:].nonzero()[:, 0] + n)

    def __call__(self, rows: Tensor, dim: int = 0) -> Tensor:
        """The rows that stay, moved in place.

        >>> moves = Moves.of(torch.tensor([True, False, True, True]))
        >>> moves(torch.tensor([0, 1, 2, 3])).tolist()
        [0, 3, 2]
        """
        if len(self.holes):
            rows.index_copy_(dim, self.holes, rows.index_select(dim, self.movers))
        return rows.narrow(dim, 0, self.n)


class KVCache:
    """The keys and values of one layer of attention, time first: (T, B, H, D) each.

    Time first, so that a new place is one piece of memory. `length`: places in it.
    """

    def __init__(self) -> None:
        self.length = 0
        self._kept: Tensor | None = None  # (2, room, B, H, D)
        self._clean = False  # whether the room that is left is 0

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Takes in new places and lets them attend to all before them and to themselves.

        (B, H, T, D) each -> (B, H, T, D): any T at first, one at a time from then on.
        """
        first = self.length == 0
        keys, values = self._append(k, v)
        if first:
            return causal_attention(q, k, v, None)
        return attend_last(q, keys, values)

    def _append(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        B, H, T, D = k.shape  # noqa: N806
        end = self.length + T
        if self._kept is None or end > self._kept.shape[1]:
            room = max(FIRST, 2 ** math.ceil(math.log2(end)))
            kept = k.new_empty(2, room, B, H, D)
            if self._kept is not None:
                kept[:, : self.length] = self._kept[:, : self.length]
            self._kept, self._clean = kept, False
        keys, values = self._kept[:, :end].unbind()
        keys[self.length :] = k.permute(2, 0, 1, 3)
        values[self.length :] = v.permute(2, 0, 1, 3)
        self.length = end
        return keys, values

    def tensors(self) -> list[Tensor]:
        """What is written to, place by place; 0 where that is still to come."""
        if self._kept is None:
            return []
        if not self._clean:
            self._kept[:, self.length :] = 0  # what a mask hides must be a number none the less
            self._clean = True
        return [self._kept]

    def at(self, place: Tensor, mask: Tensor, tensors: Iterator[Tensor]) -> KVCache:
        """The same for one place that a tensor names, in the next of `tensors`: see `PlacedCache`."""
        return PlacedCache(place, mask, next(tensors))

    def took_place(self) -> None:
        """A place was written to its tensors from outside."""
        self.length += 1

    def branch(self, rows: Tensor) -> None:
        """Makes these rows (n,) the rows."""
        if self._kept is not None:
            _, room, _, H, D = self._kept.shape  # noqa: N806
            kept = self._kept.new_empty(2, room, len(rows), H, D)
            for old, new in zip(self._kept, kept, strict=True):
                torch.index_select(old[: self.length], 1, rows, out=new[: self.length])
            self._kept, self._clean = kept, False

    def keep(self, moves: Moves) -> None:
        """Lets rows leave."""
        if self._kept is not None:
            moves(self._kept[:, : self.length], dim=2)
            self._kept = self._kept[:, :, : moves.n]


class PlacedCache(KVCache):
    """Writes and attends at a place that a tensor names, so that no number of Python's is in it.

    place: (1,) int64. mask: (room,), 0 up to the place and -inf after it. kept: (2, room, B, H, D).
    All of its room is read, whatever the place: the same operations at each, which can be recorded.
    """

    def __init__(self, place: Tensor, mask: Tensor, kept: Tensor) -> None:
        super().__init__()
        self._place, self._mask, self._kept = place, mask.view(1, 1, 1, -1), kept

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """(B, H, 1, D) each -> (B, H, 1, D)."""
        assert self._kept is not None
        self._kept.index_copy_(1, self._place, torch.stack([k, v]).permute(0, 3, 1, 2, 4))
        keys, values = self._kept.permute(0, 2, 3, 1, 4).unbind()  # (B, H, room, D)
        grouped = q.shape[1] != k.shape[1]
        return F.scaled_dot_product_attention(
            q, keys, values, attn_mask=self._mask, enable_gqa=grouped
        )


def attend_last(q: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Attention of the last place alone: q (B, H, 1, D), keys and values (T, B, G, D) -> like q.

    G divides H (grouped queries).
    """
    T, B, G, D = keys.shape  # noqa: N806
    if T > SHORT:
        k, v = keys.permute(1, 2, 0, 3), values.permute(1, 2, 0, 3)  # (B, G, T, D)
        return F.scaled_dot_product_attention(q, k, v, enable_gqa=q.shape[1] != G)
    q = q.reshape(B, G, -1, D) / math.sqrt(D)  # (B, G, H / G, D)
    scores = (q * keys[:, :, :, None]).sum(-1, keepdim=True)  # (T, B, G, H / G, 1)
    out = (scores.softmax(0) * values[:, :, :, None]).sum(0)
    return out.view(B, -1, 1, D)
