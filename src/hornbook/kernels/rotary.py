"""The rotation of rotary positions in place, saving nothing but the angles for the backward pass."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from hornbook.layers.rotary import Rotation


class _Rotation(torch.autograd.Function):
    """The backward pass rotates back."""

    @staticmethod
    def forward(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        return _rotated(x, cos, sin)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs[1:])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        cos, sin = ctx.saved_tensors
        return _rotated(gradient, cos, -sin), None, None


def _rotated(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    half = x.shape[-1] // 2
    y, sin = x * cos, sin[..., :half]  # both halves have the same angles
    y[..., :half].addcmul_(x[..., half:], sin, value=-1)
    y[..., half:].addcmul_(x[..., :half], sin)
    return y


class CpuRotation(Rotation):
    """`Rotation` by few operations."""

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """x (B, H, T, D) with cos, sin (T, D) -> (B, H, T, D)."""
        out: Tensor = _Rotation.apply(x, cos.to(x.dtype), sin.to(x.dtype))  # type: ignore[no-untyped-call]
        return out
