"""Causal attention by PyTorch's fused kernel, for streams and for packed documents.

B batch, T positions, H heads, G heads of keys and values (G divides H), D channels of a head.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def document_mask(starts: Tensor) -> Tensor:
    """Which positions each position attends to: itself and the earlier ones of its document.

    starts: `document_starts`, (B, T) -> (B, 1, T, T) bool, the same for every head.
    """
    same = starts[:, :, None] == starts[:, None, :]
    return same.tril()[:, None]


class CausalAttention(nn.Module):
    """softmax(q k^T / sqrt(D)) v over the position itself and earlier ones (Vaswani et al. 2017).

    p: dropout of the weights in training, as in the notes. Without parameters; a module so that a
    hook sees queries, keys and mask.
    """

    def __init__(self, p: float = 0.0) -> None:
        super().__init__()
        self.p = p

    def forward(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
        """q (B, H, T, D), k and v (B, G, T, D) -> (B, H, T, D).

        mask: `document_mask`, (B, 1, T, T) bool; None: all earlier positions.
        """
        out: Tensor = F.scaled_dot_product_attention(
            q, k, v, attn_mask=mask, is_causal=mask is None,
            dropout_p=self.p if self.training else 0.0, enable_gqa=k.shape[1] != q.shape[1],
        )  # fmt: skip
        return out


def attention_weights(q: Tensor, k: Tensor, mask: Tensor | None) -> Tensor:
    """The weights of `CausalAttention`, (B, H, T, T): rows sum to 1, later positions have 0.

    The fused kernel never stores them; these are for inspection.
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
