"""Dropout on a CPU with masks of random bytes, and the residual addition in the same pass.

PyTorch's own mask draws a double for each value, in one thread. Here the probability is rounded to
1/256, a mask is drawn as bytes, eight from each 64-bit number, and drawn again from the same seed for
the backward pass.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from hornbook.kernels.tuning import DROPOUT_CHUNK
from hornbook.layers.residual import ResidualDropout

LEVELS = 256  # of a random byte


def new_seed() -> int:
    """A seed from torch's global generator, so that `torch.manual_seed` decides all masks."""
    return int(torch.randint(1 << 62, (), device="cpu"))


def random_bytes(shape: torch.Size, source: np.random.SFC64) -> Tensor:
    """The next uniform bytes of a source, uint8, eight from each 64-bit number."""
    n = shape.numel()
    return torch.from_numpy(source.random_raw(-(-n // 8)).view(np.uint8)[:n]).view(shape)


def byte_threshold(p: float) -> int:
    """The number of bytes that are dropped: p of 256, at least 1, at most 255."""
    return min(max(1, round(p * LEVELS)), LEVELS - 1)


def keep_mask(noise: Tensor, threshold: int, dtype: torch.dtype) -> Tensor:
    """1 where a byte is at least `threshold`, else 0, in `dtype`: a product with booleans takes five
    times as long on a CPU."""
    return torch.ge(noise, threshold, out=torch.empty(noise.shape, dtype=dtype, device="cpu"))


class _Dropout(torch.autograd.Function):
    """Saves the seed instead of the mask. Cannot be differentiated twice; the textbook layer can."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, threshold: int, onto: Tensor | None, chunk: int) -> Tensor:
        ctx.seed, ctx.threshold, ctx.chunk = new_seed(), threshold, chunk
        ctx.added, ctx.dtype = onto is not None, x.dtype
        dtype = x.dtype if onto is None else onto.dtype
        return _masked(x, threshold, ctx.seed, dtype, chunk, onto)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, Tensor | None, None]:
        masked = _masked(gradient, ctx.threshold, ctx.seed, ctx.dtype, ctx.chunk)
        return masked, None, gradient if ctx.added else None, None


def _masked(
    x: Tensor,
    threshold: int,
    seed: int,
    dtype: torch.dtype,
    chunk: int,
    onto: Tensor | None = None,
) -> Tensor:
    """dropout(x), added to `onto` if given; in chunks whose masks stay in the processor's cache."""
    source, scale = np.random.SFC64(seed), LEVELS / (LEVELS - threshold)
    out = torch.empty(x.shape, dtype=dtype, device="cpu")
    tensors = (out, x) if onto is None else (out, x, onto)
    chunks = [torch.split(t.reshape(-1), chunk) for t in tensors]
    for result, values, *added in zip(*chunks, strict=True):
        bytes_ = random_bytes(values.shape, source)
        mask = keep_mask(bytes_, threshold, torch.promote_types(x.dtype, dtype))
        if added:
            torch.addcmul(added[0], values.to(dtype), mask, value=scale, out=result)
        else:
            result.copy_(mask.mul_(values).mul_(scale))
    return out


def dropout(
    x: Tensor, p: float, onto: Tensor | None = None, *, chunk: int = DROPOUT_CHUNK
) -> Tensor:
    """dropout(x), or onto + dropout(x), on a CPU; (...) -> (...). p is rounded to 1/256.

    onto: of the shape of x, in a dtype that holds x. chunk: numbers masked at a time.
    """
    out: Tensor = _Dropout.apply(x, byte_threshold(p), onto, chunk)  # type: ignore[no-untyped-call]
    return out


class CpuDropout(nn.Dropout):
    """`torch.nn.Dropout` with masks of random bytes."""

    def forward(self, input: Tensor) -> Tensor:
        """(...) -> (...)."""
        active = self.training and self.p and input.is_cpu
        return dropout(input, self.p) if active else super().forward(input)


class CpuResidualDropout(ResidualDropout):
    """`ResidualDropout` in one pass over memory."""

    def forward(self, x: Tensor, branch: Tensor) -> Tensor:
        """(B, T, C) each -> (B, T, C)."""
        active = self.training and self.p and branch.is_cpu
        if active and x.dtype == torch.promote_types(x.dtype, branch.dtype):
            return dropout(branch, self.p, x)
        return super().forward(x, branch)
