"""A short causal convolution: each place takes in something of the few before it.

Each channel by itself (depthwise), added to what it reads, nothing at first. So et al. 2021 (Primer),
Allen-Zhu 2025 ("canon layers"). What attention would spend a layer on, joining neighbouring symbols,
costs a few products a channel.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from hornbook.layers.cache import Moves


class ShortConvolution(nn.Module):
    """x[t] + the sum of weight[-i] * x[t - i] over i from 1 to kernel - 1, (B, T, C) -> (B, T, C).

    A place itself has the weight 1, which is not trained.
    """

    def __init__(self, dim: int, kernel: int) -> None:
        super().__init__()
        # three dimensions, or Muon would take it for a matrix between channels
        self.weight = nn.Parameter(torch.zeros(kernel - 1, 1, dim))

    def forward(
        self, x: Tensor, same: list[Tensor] | None = None, recent: Recent | None = None
    ) -> Tensor:
        """same: of packed documents, what `same_document` gives. recent: of rows that go on, what was
        read before."""
        weight = self.weight.to(x.dtype)
        n = len(weight)
        if recent is None:
            return _mixed(x, weight, same)
        joined = recent.join(x, n)
        if x.shape[1] == 1:
            return x + (joined[:, :n] * weight[:, 0]).sum(1, keepdim=True)
        return _mixed(joined, weight, None)[:, n:]


class _Mix(torch.autograd.Function):
    """Keeps x alone of what it computes with: half the time of a sum of shifted copies."""

    @staticmethod
    def forward(x: Tensor, weight: Tensor, same: list[Tensor] | None) -> Tensor:
        y = x.clone()
        for i in range(1, min(len(weight), x.shape[1] - 1) + 1):
            y[:, i:].addcmul_(_masked(x[:, :-i], same, i), weight[-i])
        return y

    @staticmethod
    def setup_context(
        ctx: Any, inputs: tuple[Tensor, Tensor, list[Tensor] | None], output: Tensor
    ) -> None:
        x, weight, ctx.same = inputs
        ctx.save_for_backward(x, weight)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        x, weight = ctx.saved_tensors
        dx, dw = gradient.clone(), torch.zeros_like(weight)
        for i in range(1, min(len(weight), x.shape[1] - 1) + 1):
            later = _masked(gradient[:, i:], ctx.same, i)
            dx[:, :-i].addcmul_(later, weight[-i])
            dw[-i, 0] = (later * x[:, :-i]).sum((0, 1))
        return dx, dw, None


def _mixed(x: Tensor, weight: Tensor, same: list[Tensor] | None) -> Tensor:
    out: Tensor = _Mix.apply(x, weight, same)  # type: ignore[no-untyped-call]
    return out


def _masked(x: Tensor, same: list[Tensor] | None, i: int) -> Tensor:
    return x if same is None else x * same[i - 1]


def same_document(starts: Tensor, kernel: int, dtype: torch.dtype) -> list[Tensor]:
    """1.0 where the place i before stands in the same document, else 0.0; for i from 1 to kernel - 1.

    starts: `document_starts`, (B, T) -> (B, T - i, 1) each, for the places from the i-th on.
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
        self._places.copy_(joined[:, -n:])
        return joined

    def tensors(self) -> list[Tensor]:
        """What is written to, place by place."""
        return [] if self._places is None else [self._places]

    def at(self, tensors: Iterator[Tensor]) -> Recent:
        """The same in the next of `tensors`, where it has any."""
        other = Recent()
        other._places = None if self._places is None else next(tensors)
        return other

    def branch(self, rows: Tensor) -> None:
        """Makes these rows (n,) the rows."""
        if self._places is not None:
            self._places = self._places[rows]

    def keep(self, moves: Moves) -> None:
        """Lets rows leave."""
        if self._places is not None:
            self._places = moves(self._places)
