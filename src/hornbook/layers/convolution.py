"""A short causal convolution: each position adds something of the few positions before it.

Each channel by itself (depthwise), added to its input, zero at first. So et al. 2021 (Primer),
Allen-Zhu 2025 ("canon layers"). What attention would spend a layer on, joining neighboring tokens,
costs a few products per channel. B batch, T positions, C channels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hornbook.layers.cache import Compaction


class ShortConvolution(nn.Module):
    """x[t] + the sum of weight[-i] * x[t - i] over i from 1 to kernel - 1, (B, T, C) -> (B, T, C).

    The weight of the position itself is 1 and not trained.
    """

    def __init__(self, dim: int, kernel: int) -> None:
        super().__init__()
        # three dimensions, or Muon would take it for a matrix between channels
        self.weight = nn.Parameter(torch.zeros(kernel - 1, 1, dim))

    def forward(
        self, x: Tensor, same: list[Tensor] | None = None, cache: ConvolutionCache | None = None
    ) -> Tensor:
        """same: `same_document` of packed documents. cache: the inputs before x, when decoding."""
        if cache is not None:
            return self.forward(cache.append(x, len(self.weight)))[:, -x.shape[1] :]
        weight, out, T = self.weight.to(x.dtype), x, x.shape[1]  # noqa: N806
        for i in range(1, len(weight) + 1):
            earlier = F.pad(x, (0, 0, i, 0))[:, :T]  # zeros before the row
            out = out + weight[-i] * (earlier if same is None else earlier * same[i - 1])
        return out


def same_document(starts: Tensor, kernel: int, dtype: torch.dtype) -> list[Tensor]:
    """1.0 where the position i before belongs to the same document, else 0.0; i from 1 to kernel - 1.

    starts: `document_starts`, (B, T) -> (B, T, 1) each.
    """
    depth = torch.arange(starts.shape[1], device=starts.device) - starts
    return [(depth[:, :, None] >= i).to(dtype) for i in range(1, kernel)]


class ConvolutionCache:
    """The last inputs of a convolution, `buffer` (B, kernel - 1, C), zeros before the start."""

    def __init__(self) -> None:
        self.buffer: Tensor | None = None

    def append(self, x: Tensor, n: int) -> Tensor:
        """The last n inputs and x, (B, T, C) -> (B, n + T, C), of which the last n are kept."""
        if self.buffer is None:
            self.buffer = x.new_zeros(len(x), n, x.shape[2])
        joined = torch.cat([self.buffer, x], dim=1)
        self.buffer.copy_(joined[:, -n:])
        return joined

    def select(self, rows: Tensor) -> None:
        """Replaces the rows by these (n,) of them."""
        if self.buffer is not None:
            self.buffer = self.buffer.index_select(0, rows)

    def compact(self, compaction: Compaction) -> None:
        """Lets rows leave."""
        if self.buffer is not None:
            self.buffer = compaction(self.buffer)
