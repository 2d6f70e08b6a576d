"""Rotary positions (RoPE, Su et al. 2021) in the half-split layout of Hugging Face's models.

B batch, T positions, H heads, D channels of a head.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def rotary_angles(positions: Tensor, dim: int, base: float) -> tuple[Tensor, Tensor]:
    """cos and sin of the rotation at each position, (...) -> (..., D) each; D = dim.

    Channels i and i + D/2 are rotated together, by position * base^(-2 i / D).
    """
    channel = torch.arange(0, dim, 2, dtype=torch.float32, device=positions.device)
    frequency = base ** -(channel / dim)
    angle = positions[..., None] * frequency  # (..., D/2)
    angle = torch.cat([angle, angle], dim=-1)
    return angle.cos(), angle.sin()


class Rotation(nn.Module):
    """Rotates pairs of channels by angles, so that q k^T depends on distances alone."""

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """x (B, H, T, D) with cos, sin (T, D) of `rotary_angles` -> (B, H, T, D)."""
        first, second = x.chunk(2, dim=-1)
        rotated = torch.cat([-second, first], dim=-1)
        return x * cos.to(x.dtype) + rotated * sin.to(x.dtype)
