"""Attention whose weights are dropped out, on a CPU: few bytes kept, masks drawn as bytes.

PyTorch's fused kernel knows no dropout on a CPU and falls back to one that keeps three arrays of
(B, H, T, T) floats for the backward pass. Here the weights are made a few rows of the batch at a
time, small enough for the cache, and again for the backward pass; only the random bytes are kept.
Dao et al. 2022 do so in a GPU's fast memory.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from hornbook.layers.dropout import LEVELS, random_bytes

AT_ONCE = 1 << 19  # attention weights


class _Dropped(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, mask: Tensor, dropped: int) -> Tensor:
        noise = random_bytes(torch.Size((*q.shape[:3], k.shape[2])))
        log_sums = q.new_empty((*q.shape[:3], 1), dtype=torch.promote_types(q.dtype, torch.float32))
        out = torch.empty_like(v)
        scale = LEVELS / (LEVELS - dropped)
        for rows in _pieces(noise):
            scores = _scores(q[rows], k[rows], mask[rows])
            log_sums[rows] = scores.logsumexp(-1, keepdim=True)
            weights = scores.sub_(log_sums[rows]).exp_()
            weights.masked_fill_(noise[rows] < dropped, 0.0)
            out[rows] = (weights.to(v.dtype) @ v[rows]).mul_(scale)
        ctx.save_for_backward(q, k, v, mask, noise, log_sums, out)
        ctx.dropped, ctx.scale = dropped, scale
        return out

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, mask, noise, log_sums, out = ctx.saved_tensors
        dq, dk, dv = torch.empty_like(q), torch.empty_like(k), torch.empty_like(v)
        for rows in _pieces(noise):
            weights = _scores(q[rows], k[rows], mask[rows]).sub_(log_sums[rows]).exp_()
            drop, d_out = noise[rows] < ctx.dropped, gradient[rows] * ctx.scale
            d_weights = (d_out @ v[rows].mT).to(weights.dtype).masked_fill_(drop, 0.0)
            # of a softmax: weights * (d_weights - their mean under the weights)
            mean = (gradient[rows] * out[rows]).sum(-1, keepdim=True).to(weights.dtype)
            d_scores = d_weights.sub_(mean).mul_(weights).mul_(q.shape[-1] ** -0.5).to(q.dtype)
            dq[rows] = d_scores @ k[rows]
            dk[rows] = d_scores.mT @ q[rows]
            dv[rows] = weights.masked_fill_(drop, 0.0).to(v.dtype).mT @ d_out
        return dq, dk, dv, None, None


def dropped_attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, p: float) -> Tensor:
    """dropout(softmax(q k^T / sqrt(D))) v over what is not later; (B, H, T, D) each -> the same.

    mask: (B, 1, T, T) bool, None for plain causal. p is rounded to 1/256.
    """
    if mask is None:
        mask = torch.ones(q.shape[2], k.shape[2], dtype=torch.bool).tril()
    mask = mask.expand(q.shape[0], 1, -1, -1)
    dropped = min(max(1, round(p * LEVELS)), LEVELS - 1)
    out: Tensor = _Dropped.apply(q, k, v, mask, dropped)  # type: ignore[no-untyped-call]
    return out


def _scores(q: Tensor, k: Tensor, mask: Tensor) -> Tensor:
    scores = (q @ k.mT).mul_(q.shape[-1] ** -0.5)
    scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
    return scores.masked_fill_(~mask, -math.inf)


def _pieces(noise: Tensor) -> Iterator[slice]:
    rows = max(1, AT_ONCE // noise[0].numel())
    for first in range(0, len(noise), rows):
        yield slice(first, first + rows)
