"""Dropout whose masks cost little on a CPU."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LEVELS = 256  # of a random byte
PIECE = 1 << 17  # numbers


def random_bytes(shape: torch.Size, generator: torch.Generator | None = None) -> Tensor:
    """Uniform bytes, uint8, eight of each random number that a generator draws, or torch's own."""
    n = shape.numel()
    words = torch.empty(-(-n // 8), dtype=torch.int64).random_(-(2**63), None, generator=generator)
    return words.view(torch.uint8)[:n].view(shape)


def kept(noise: Tensor, level: int, dtype: torch.dtype) -> Tensor:
    """1 where a byte is at least `level`, else 0, as numbers of `dtype`: a CPU takes five times as
    long to multiply by booleans."""
    return torch.ge(noise, level, out=torch.empty(noise.shape, dtype=dtype))


def generator_at(state: Tensor) -> torch.Generator:
    """A generator that draws again what torch's own drew from a state on."""
    return torch.Generator().set_state(state)


class _Drop(torch.autograd.Function):
    """Keeps the state of the generator, and draws its bytes again for the backward pass."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, level: int, onto: Tensor | None) -> Tensor:
        ctx.save_for_backward(torch.get_rng_state())
        ctx.level, ctx.added = level, onto is not None
        return _masked(x, level, None, onto)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, Tensor | None]:
        (state,) = ctx.saved_tensors
        masked = _masked(gradient, ctx.level, generator_at(state))
        return masked, None, gradient if ctx.added else None


def _masked(
    x: Tensor, level: int, generator: torch.Generator | None, onto: Tensor | None = None
) -> Tensor:
    """Dropped out, and added to `onto` where there is one; in pieces whose masks stay in the cache."""
    scale = LEVELS / (LEVELS - level)
    if torch.is_grad_enabled():  # a backward pass that is differentiated again
        return kept(random_bytes(x.shape, generator), level, x.dtype) * x * scale
    out = torch.empty(x.shape, dtype=x.dtype)
    pieces = [
        torch.split(t.reshape(-1), PIECE) for t in (out, x, *([] if onto is None else [onto]))
    ]
    for made, given, *added in zip(*pieces, strict=True):
        mask = kept(random_bytes(given.shape, generator), level, x.dtype)
        if added:
            torch.addcmul(added[0], given, mask, value=scale, out=made)
        else:
            torch.mul(given, mask, out=made).mul_(scale)
    return out


def drop_out(x: Tensor, p: float, onto: Tensor | None = None) -> Tensor:
    """x with 0 for about a share p of the places, the others scaled up to keep the mean; onto + that.

    p is rounded to 1/256. PyTorch's own mask draws a double for each place, in one thread.
    """
    level = min(max(1, round(p * LEVELS)), LEVELS - 1)
    together = onto is None or (onto.dtype, onto.shape) == (x.dtype, x.shape)
    out: Tensor = _Drop.apply(x, level, onto if together else None)  # type: ignore[no-untyped-call]
    return out if onto is None or together else onto + out


class Dropout(nn.Module):
    """In training sets a share p of the values to 0 and scales the others up, (...) -> (...).

    onto: what the result is added to, in one pass over memory. plain: by PyTorch's own mask, as on a
    GPU. Srivastava et al. 2014.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p, self.plain = p, False

    def forward(self, x: Tensor, onto: Tensor | None = None) -> Tensor:
        """The same while evaluating, or where p is 0."""
        if self.training and self.p:
            if not self.plain and x.is_cpu:
                return drop_out(x, self.p, onto)
            x = F.dropout(x, self.p)
        return x if onto is None else onto + x

    def extra_repr(self) -> str:
        """As torch shows its own."""
        return f"p={self.p}"
