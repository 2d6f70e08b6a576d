"""Dropout whose masks cost little on a CPU."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LEVELS = 256  # of a random byte


def random_bytes(shape: torch.Size, generator: torch.Generator | None = None) -> Tensor:
    """Uniform bytes, uint8, eight of each random number that a generator draws, or torch's own."""
    n = shape.numel()
    words = torch.empty(-(-n // 8), dtype=torch.int64).random_(-(2**63), None, generator=generator)
    return words.view(torch.uint8)[:n].view(shape)


def kept(noise: Tensor, level: int, dtype: torch.dtype) -> Tensor:
    """1 where a byte is at least `level`, else 0, as numbers of `dtype`: a CPU takes five times as
    long to multiply by booleans."""
    return torch.ge(noise, level, out=torch.empty(noise.shape, dtype=dtype))


def drawn_again(shape: torch.Size, state: Tensor) -> Tensor:
    """The `random_bytes` that torch's generator drew from a state on."""
    return random_bytes(shape, torch.Generator().set_state(state))


class _Drop(torch.autograd.Function):
    """Keeps the state of the generator, and draws its bytes again for the backward pass."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, level: int) -> Tensor:
        ctx.save_for_backward(torch.get_rng_state())
        ctx.level = level
        return _masked(x, random_bytes(x.shape), level)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (state,) = ctx.saved_tensors
        return _masked(gradient, drawn_again(gradient.shape, state), ctx.level), None


def _masked(x: Tensor, noise: Tensor, level: int) -> Tensor:
    return kept(noise, level, x.dtype).mul_(x).mul_(LEVELS / (LEVELS - level))


def drop_out(x: Tensor, p: float) -> Tensor:
    """x with 0 for about a share p of the places, the others scaled up to keep the mean.

    p is rounded to 1/256. PyTorch's own mask draws a double for each place, in one thread.
    """
    level = min(max(1, round(p * LEVELS)), LEVELS - 1)
    out: Tensor = _Drop.apply(x, level)  # type: ignore[no-untyped-call]
    return out


class Dropout(nn.Module):
    """In training sets a share p of the values to 0 and scales the others up, (...) -> (...).

    plain: by PyTorch's own mask, as on a GPU. Srivastava et al. 2014.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p, self.plain = p, False

    def forward(self, x: Tensor) -> Tensor:
        """The same while evaluating, or where p is 0."""
        if not self.training or not self.p:
            return x
        if self.plain or x.device.type != "cpu":
            return F.dropout(x, self.p)
        return drop_out(x, self.p)

    def extra_repr(self) -> str:
        """As torch shows its own."""
        return f"p={self.p}"
