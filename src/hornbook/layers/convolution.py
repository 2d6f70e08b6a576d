"""A short causal convolution: each place takes in something of the few before it.

Each channel by itself (depthwise), added to what it reads, nothing at first. So et al. 2021 (Primer),
Allen-Zhu 2025 ("canon layers"). What attention would spend a layer on, joining neighbouring symbols,
costs a few products a channel.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from hornbook.layers.cache import Moves


class ShortConvolution(nn.Module):
    """x[t] + the sum of weight[i] * x[t - 1 - i] over i < kernel - 1, (B, T, C) -> (B, T, C)."""

    def __init__(self, dim: int, kernel: int) -> None:
        super().__init__()
        # three dimensions: no matrix between channels, as Muon would take it for
        self.weight = nn.Parameter(torch.zeros(kernel - 1, 1, dim))

    def forward(
        self, x: Tensor, inside: list[Tensor] | None = None, recent: Recent | None = None
    ) -> Tensor:
        """inside: see `same_document`; None for a stream. recent: what was read before."""
        weight = self.weight.to(x.dtype)
        joined = x if recent is None else recent.join(x, len(weight))
        mixed: Tensor = _Mix.apply(joined, weight, inside)  # type: ignore[no-untyped-call]
        return mixed[:, -x.shape[1] :]


class _Mix(torch.autograd.Function):
    """Keeps x alone for the backward pass: a fifth of the time of a sum of shifted copies."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, inside: list[Tensor] | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.inside = inside
        y = x.clone()
        for i in range(1, min(len(weight), x.shape[1] - 1) + 1):
            y[:, i:].addcmul_(_masked(x[:, :-i], inside, i), weight[i - 1])
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        dx, dw = gradient.clone(), torch.zeros_like(weight)
        for i in range(1, min(len(weight), x.shape[1] - 1) + 1):
            later = _masked(gradient[:, i:], ctx.inside, i)
            dx[:, :-i].addcmul_(later, weight[i - 1])
            dw[i - 1, 0] = (later * x[:, :-i]).sum((0, 1))
        return dx, dw, None


def _masked(x: Tensor, inside: list[Tensor] | None, i: int) -> Tensor:
    return x if inside is None else x * inside[i - 1]


def same_document(starts: Tensor, kernel: int, dtype: torch.dtype) -> list[Tensor]:
    """Whether the place i before each, from the i-th on, stands in its document: 1.0 or 0.0.

    (B, T) `document_starts` -> (B, T - i, 1) for i = 1 to kernel - 1.
    """
    depth = torch.arange(starts.shape[1], device=starts.device) - starts
    return [(depth[:, i:, None] >= i).to(dtype) for i in range(1, kernel)]


class Recent:
    """The places right before the next of each row, (B, n, C), zeros where there is none."""

    def __init__(self) -> None:
        self._places: Tensor | None = None

    def join(self, x: Tensor, n: int) -> Tensor:
        """The n last places and x, (B, T, C) -> (B, n + T, C), of which the last n are kept."""
        if self._places is None:
            self._places = x.new_zeros(len(x), n, x.shape[2])
        joined = torch.cat([self._places, x], dim=1)
        self._places = joined[:, -n:]
        return joined

    def branch(self, rows: Tensor) -> None:
        """Makes these rows (n,) the rows."""
        if self._places is not None:
            self._places = self._places[rows]

    def keep(self, moves: Moves) -> None:
        """Lets rows leave."""
        if self._places is not None:
            self._places = moves(self._places.clone())
