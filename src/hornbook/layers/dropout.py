"""Dropout whose masks cost little on a CPU."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

LEVELS = 256  # of a random byte
PIECE = 1 << 17  # numbers


def new_seed() -> int:
    """From torch's own generator: what is drawn from it can be drawn again."""
    return int(torch.randint(1 << 62, ()))


def random_bytes(shape: torch.Size, source: np.random.SFC64) -> Tensor:
    """The next uniform bytes of a source, uint8, eight of each number: in half the time of torch's."""
    n = shape.numel()
    return torch.from_numpy(source.random_raw(-(-n // 8)).view(np.uint8)[:n]).view(shape)


def kept(noise: Tensor, level: int, dtype: torch.dtype) -> Tensor:
    """1 where a byte is at least `level`, else 0, as numbers of `dtype`: a CPU takes five times as
    long to multiply by booleans."""
    return torch.ge(noise, level, out=torch.empty(noise.shape, dtype=dtype))


class _Drop(torch.autograd.Function):
    """Keeps a seed, and draws its bytes again for the backward pass."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, level: int, onto: Tensor | None) -> Tensor:
        ctx.seed, ctx.level, ctx.added, ctx.dtype = new_seed(), level, onto is not None, x.dtype
        return _masked(x, level, ctx.seed, x.dtype if onto is None else onto.dtype, onto)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, Tensor | None]:
        masked = _masked(gradient, ctx.level, ctx.seed, ctx.dtype)
        return masked, None, gradient if ctx.added else None


def _masked(
    x: Tensor, level: int, seed: int, dtype: torch.dtype, onto: Tensor | None = None
) -> Tensor:
    """Dropped out, and added to `onto` where there is one; in pieces whose masks stay in the cache."""
    source, scale = np.random.SFC64(seed), LEVELS / (LEVELS - level)
    if torch.is_grad_enabled():  # a backward pass that is differentiated again
        return (kept(random_bytes(x.shape, source), level, x.dtype) * x * scale).to(dtype)
    out = torch.empty(x.shape, dtype=dtype)
    pieces = [
        torch.split(t.reshape(-1), PIECE) for t in (out, x, *([] if onto is None else [onto]))
    ]
    for made, given, *added in zip(*pieces, strict=True):
        mask = kept(random_bytes(given.shape, source), level, torch.promote_types(x.dtype, dtype))
        if added:
            torch.addcmul(added[0], given.to(dtype), mask, value=scale, out=made)
        else:
            made.copy_(mask.mul_(given).mul_(scale))
    return out


def drop_out(x: Tensor, p: float, onto: Tensor | None = None) -> Tensor:
    """x with 0 for about a share p of the places, the others scaled up to keep the mean; onto + that.

    p is rounded to 1/256. PyTorch's own mask draws a double for each place, in one thread.
    """
    level = min(max(1, round(p * LEVELS)), LEVELS - 1)
    together = onto is None or (
        onto.shape == x.shape and onto.dtype == torch.promote_types(onto.dtype, x.dtype)
    )
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
            if not self.plain and x.is_cpu and not torch.compiler.is_compiling():
                return drop_out(x, self.p, onto)
            x = F.dropout(x, self.p)
        return x if onto is None else onto + x

    def extra_repr(self) -> str:
        """As torch shows its own."""
        return f"p={self.p}"
