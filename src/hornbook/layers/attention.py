"""Causal attention by PyTorch's fused kernel, for streams and for packed documents."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hornbook.layers.dropped import dropped_attention


def document_mask(starts: Tensor) -> Tensor:
    """What each place may look at: itself and what is before it in its document.

    (B, T) starts -> (B, 1, T, T) bool, the same for every head.
    """
    same = starts[:, :, None] == starts[:, None, :]
    return same.tril()[:, None]


def causal_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None,
    dropout: float = 0.0,
    *,
    plain: bool = False,
) -> Tensor:
    """softmax(q k^T / sqrt(D)) v over what is not later; (B, H, T, D) each -> (B, H, T, D).

    mask: None for plain causal, else (B, 1, T, T) bool. k and v may have fewer heads than q
    (grouped queries). Vaswani et al. 2017; dropout falls on the weights, as in the notes. plain: by
    PyTorch's own masks.
    """
    own = q.is_cpu and q.shape[1] == k.shape[1] and not torch.compiler.is_compiling()
    if dropout and own and not plain:
        return dropped_attention(q, k, v, mask, dropout)
    out: Tensor = F.scaled_dot_product_attention(
        q, k, v, attn_mask=mask, is_causal=mask is None, dropout_p=dropout,
        enable_gqa=k.shape[1] != q.shape[1],
    )  # fmt: skip
    return out


class CausalAttention(nn.Module):
    """`causal_attention` as a module, so that a hook sees queries, keys and mask.

    p: dropout of the weights in training; `plain` as in `Dropout`.
    """

    def __init__(self, p: float = 0.0) -> None:
        super().__init__()
        self.p, self.plain = p, False

    def forward(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
        """(B, H, T, D) each -> (B, H, T, D)."""
        return causal_attention(q, k, v, mask, self.p if self.training else 0.0, plain=self.plain)


def attention_weights(q: Tensor, k: Tensor, mask: Tensor | None) -> Tensor:
    """What `causal_attention` weighs v with, (B, H, T, T): each row sums to 1, 0 for what is later.

    The fused kernel never makes them; these are for looking at.
    """
    k = k.repeat_interleave(q.shape[1] // k.shape[1], dim=1)
    if mask is None:
        mask = torch.ones(q.shape[2], q.shape[2], dtype=torch.bool, device=q.device).tril()
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    return scores.masked_fill(~mask, -math.inf).softmax(-1)


def split_heads(x: Tensor, n_head: int) -> Tensor:
    """(B, T, H * D) -> (B, H, T, D)."""
    return x.view(*x.shape[:2], n_head, -1).transpose(1, 2)


def merge_heads(x: Tensor) -> Tensor:
    """(B, H, T, D) -> (B, T, H * D)."""
    return x.transpose(1, 2).flatten(2)


def rotary_angles(places: Tensor, dim: int, base: float) -> tuple[Tensor, Tensor]:
    """cos and sin of the rotation at each place, (...) -> (..., D) each; D = dim.

    RoPE (Su et al. 2021) in the half-split layout of Hugging Face's models: channel i turns with
    channel i + D/2.
    """
    frequency = base ** -(torch.arange(0, dim, 2, device=places.device) / dim)
    angle = places[..., None] * frequency  # (..., D/2)
    angle = torch.cat([angle, angle], dim=-1)
    return angle.cos(), angle.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turns queries or keys by their place: (B, H, T, D) with cos, sin that broadcast to it."""
    cos, sin = cos.to(x.dtype), sin.to(x.dtype)
    out: Tensor = _Rotation.apply(x, cos, sin)  # type: ignore[no-untyped-call]
    return out


class _Rotation(torch.autograd.Function):
    """Keeps the angles alone for the backward pass, which turns back."""

    @staticmethod
    def forward(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        return _turned(x, cos, sin)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs[1:])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        cos, sin = ctx.saved_tensors
        return _turned(gradient, cos, -sin), None, None


def _turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    half = x.shape[-1] // 2
    y, sin = x * cos, sin[..., :half]  # a half's angles are those of the other
    y[..., :half].addcmul_(x[..., half:], sin, value=-1)
    y[..., half:].addcmul_(x[..., :half], sin)
    return y
