"""The short convolution in place, saving only its input: half the time of a sum of shifted copies."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from hornbook.layers.convolution import ShortConvolution


class _Convolution(torch.autograd.Function):
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


def _masked(x: Tensor, same: list[Tensor] | None, i: int) -> Tensor:
    return x if same is None else x * same[i - 1]


class CpuShortConvolution(ShortConvolution):
    """`ShortConvolution` by in-place products."""

    def convolve(self, x: Tensor, same: list[Tensor] | None) -> Tensor:
        """(B, T, C) -> (B, T, C)."""
        out: Tensor = _Convolution.apply(x, self.weight.to(x.dtype), same)  # type: ignore[no-untyped-call]
        return out
