"""Keys and values of earlier positions, so that a new token costs one position.

Rows finish at different times. A `Compaction` lets them leave a batch in place: the last rows that
stay move to where others left, and nothing else is copied.

B batch, T positions, H heads, G heads of keys and values, D channels of a head.
"""

from __future__ import annotations

import math
from typing import Self

from torch import Tensor
from torch.nn import functional as F

FIRST_CAPACITY = 16  # positions; it doubles whenever it is full


class Compaction:
    """Which rows of a batch stay, and where the last of them move."""

    def __init__(self, n: int, holes: Tensor, movers: Tensor) -> None:
        self.n, self.holes, self.movers = n, holes, movers

    @classmethod
    def of(cls, stay: Tensor) -> Self:
        """After it the rows where `stay` (B,) bool holds are the first n."""
        n = int(stay.sum())
        return cls(n, (~stay[:n]).nonzero()[:, 0], stay[n:].nonzero()[:, 0] + n)

    def __call__(self, rows: Tensor, dim: int = 0) -> Tensor:
        """The rows that stay; moves them in place.

        >>> compaction = Compaction.of(torch.tensor([True, False, True, True]))
        >>> compaction(torch.tensor([0, 1, 2, 3])).tolist()
        [0, 3, 2]
        """
        if len(self.holes):
            rows.index_copy_(dim, self.holes, rows.index_select(dim, self.movers))
        return rows.narrow(dim, 0, self.n)


class KVCache:
    """The keys and values of one attention layer.

    buffer: (2, capacity, B, G, D): position first, so that a new one is a contiguous write. length:
    positions stored.
    """

    def __init__(self) -> None:
        self.length = 0
        self.buffer: Tensor | None = None

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Stores new positions and lets them attend to all stored before and to themselves.

        q (B, H, T, D), k and v (B, G, T, D) -> (B, H, T, D): any T at first, then one at a time.
        """
        first = self.length == 0
        keys, values = self.append(k, v)
        grouped = q.shape[1] != k.shape[1]
        if first:
            return F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=grouped)
        return self.attend_last(q, keys, values)

    def attend_last(self, q: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Attention of the last position: q (B, H, 1, D), keys and values (T, B, G, D) -> like q."""
        grouped = q.shape[1] != keys.shape[2]
        k, v = keys.permute(1, 2, 0, 3), values.permute(1, 2, 0, 3)  # (B, G, T, D)
        return F.scaled_dot_product_attention(q, k, v, enable_gqa=grouped)

    def append(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Stores (B, G, T, D) each -> all keys and all values, (length, B, G, D) each."""
        B, G, T, D = k.shape  # noqa: N806
        end = self.length + T
        if self.buffer is None or end > self.buffer.shape[1]:
            capacity = max(FIRST_CAPACITY, 2 ** math.ceil(math.log2(end)))
            buffer = k.new_zeros(2, capacity, B, G, D)
            if self.buffer is not None:
                buffer[:, : self.length] = self.buffer[:, : self.length]
            self.buffer = buffer
        keys, values = self.buffer[:, :end].unbind()
        keys[self.length :] = k.permute(2, 0, 1, 3)
        values[self.length :] = v.permute(2, 0, 1, 3)
        self.length = end
        return keys, values

    def select(self, rows: Tensor) -> None:
        """Replaces the rows by these (n,) of them."""
        if self.buffer is not None:
            self.buffer = self.buffer.index_select(2, rows)

    def compact(self, compaction: Compaction) -> None:
        """Lets rows leave."""
        if self.buffer is not None:
            compaction(self.buffer[:, : self.length], dim=2)
            self.buffer = self.buffer[:, :, : compaction.n]
