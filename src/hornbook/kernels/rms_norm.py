"""RMSNorm with a backward pass of few operations: half the time of PyTorch's on a CPU."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from hornbook.layers.norms import RMSNorm


class _RMSNorm(torch.autograd.Function):
    """Cannot be differentiated twice; the textbook layer can."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        scale = x.square().mean(-1, keepdim=True).add_(eps).rsqrt_()
        normal = x * scale
        ctx.save_for_backward(normal, scale, weight)
        return normal * weight

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        normal, scale, weight = ctx.saved_tensors
        each = gradient * normal
        # the component along x has no effect, since the norm removes it
        along = (each @ weight).unsqueeze(-1)
        d_x = (gradient * weight).addcmul_(normal, along, value=-1 / len(weight)).mul_(scale)
        return d_x, each.reshape(-1, len(weight)).sum(0), None


class CpuRMSNorm(RMSNorm):
    """`RMSNorm` with its gradient by hand, in the dtype of its weight."""

    def forward(self, x: Tensor) -> Tensor:
        """(..., C) -> (..., C)."""
        if not (torch.is_grad_enabled() and x.is_cpu and x.dtype == self.weight.dtype):
            return super().forward(x)
        out: Tensor = _RMSNorm.apply(x, self.weight, self.eps)  # type: ignore[no-untyped-call]
        return out
