"""Attention as a lesson: each position averages the earlier ones, first evenly, then by choice.

The notes' four versions of a weighted aggregation, each the same as the one before or more
general: a loop, a matrix, a softmax of a mask, and weights that depend on the data
(self-attention). Then one head, several, the encoder form (no mask) and cross-attention. The models
`gpt2` and `gpt` use the fused kernel of `layers/attention.py`, which computes the same. Vaswani et al.
2017; the notes, "Attention".

B batch, T positions, S positions of a source, C channels, D channels of a head, E of a value.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from hornbook.errors import ConfigError


def average_loop(x: Tensor) -> Tensor:
    """Version 1: the mean up to each position, in a loop; (B, T, C) -> (B, T, C)."""
    return torch.stack([x[:, : t + 1].mean(1) for t in range(x.shape[1])], dim=1)


def average_matrix(x: Tensor) -> Tensor:
    """Version 2: the same as one product, with rows of 1/t below the diagonal."""
    return average(x, causal_mask(x.shape[1], x.device))


def average_softmax(x: Tensor) -> Tensor:
    """Version 3: the same weights as a softmax of zeros, and of -inf for later positions."""
    zeros = x.new_zeros(x.shape[1], x.shape[1])
    return masked_softmax(zeros, causal_mask(x.shape[1], x.device)) @ x


def causal_mask(T: int, device: torch.device | None = None) -> Tensor:  # noqa: N803
    """Which positions each position attends to, itself and the earlier ones: (T, T) bool."""
    return torch.ones(T, T, dtype=torch.bool, device=device).tril()


def average(x: Tensor, mask: Tensor) -> Tensor:
    """The mean of the positions in the mask: (B, T, C), mask (T, T) or (B, T, T) -> (B, T, C)."""
    weights = mask.to(x.dtype)
    return (weights / weights.sum(-1, keepdim=True)) @ x


def masked_softmax(scores: Tensor, mask: Tensor | None) -> Tensor:
    """Weights that sum to 1 in each row, 0 where the mask is False; (..., T, S) -> (..., T, S)."""
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf)
    return scores.softmax(-1)


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """Version 4: softmax(q k^T / sqrt(D)) v, (..., T, D), (..., S, D), (..., S, E) -> (..., T, E).

    Queries and keys of unit variance have products of variance D; divided by sqrt(D), of 1, so that
    the softmax begins diffuse (`examples/attention_scaling.py`).
    """
    return masked_softmax(q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1]), mask) @ v


class Head(nn.Module):
    """One head of attention.

    causal: a position attends to itself and earlier ones (a decoder); otherwise to all (an encoder).
    """

    def __init__(self, n_embd: int, head_size: int, *, causal: bool = True) -> None:
        super().__init__()
        self.causal = causal
        self.key = nn.Linear(n_embd, head_size, bias=False)
        self.query = nn.Linear(n_embd, head_size, bias=False)
        self.value = nn.Linear(n_embd, head_size, bias=False)

    def forward(self, x: Tensor, source: Tensor | None = None) -> Tensor:
        """(B, T, C) -> (B, T, D). Keys and values come from x itself (self-attention), or from a
        `source` (B, S, C) (cross-attention, without a mask)."""
        mask = causal_mask(x.shape[1], x.device) if self.causal and source is None else None
        source = x if source is None else source
        return attend(self.query(x), self.key(source), self.value(source), mask)


class MultiHeadAttention(nn.Module):
    """Several heads side by side, and a linear layer that mixes their outputs.

    Raises ConfigError unless n_head divides n_embd.
    """

    def __init__(self, n_embd: int, n_head: int, *, causal: bool = True) -> None:
        super().__init__()
        if n_head < 1 or n_embd % n_head:
            raise ConfigError(f"n_head: found {n_head}, expected a divisor of n_embd ({n_embd})")
        self.heads = nn.ModuleList(
            Head(n_embd, n_embd // n_head, causal=causal) for _ in range(n_head)
        )
        self.proj = nn.Linear(n_embd, n_embd)

    def forward(self, x: Tensor, source: Tensor | None = None) -> Tensor:
        """(B, T, C), and (B, S, C) for cross-attention -> (B, T, C)."""
        out: Tensor = self.proj(torch.cat([head(x, source) for head in self.heads], dim=-1))
        return out
