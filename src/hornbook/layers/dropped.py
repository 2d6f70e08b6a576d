"""Attention whose weights are dropped out, on a CPU: nothing kept of them, masks drawn as bytes.

PyTorch's fused kernel knows no dropout on a CPU and falls back to one that keeps three arrays of
(B, H, T, T) floats for the backward pass. Here the weights are made a few rows of the batch at a
time, small enough for the cache, and again for the backward pass, as are the random bytes.
Dao et al. 2022 do so in a GPU's fast memory.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hornbook.layers.dropout import LEVELS, kept, new_seed, random_bytes

AT_ONCE = 1 << 20  # attention weights
QUERIES = 128  # in one piece: they look at no key after the last of them

Piece = tuple[slice, slice, slice]


class _Dropped(torch.autograd.Function):
    """Powers of 2, not of e: a CPU takes a quarter of the time over them where most scores are -inf."""

    @staticmethod
    def forward(
        ctx: Any, q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, dropped: int
    ) -> Tensor:
        seed = new_seed()
        source = np.random.SFC64(seed)
        out = torch.empty_like(q)  # in the order of q, that joins its heads again without a copy
        q = torch.mul(q, math.log2(math.e) * q.shape[-1] ** -0.5, out=q.new_empty(q.shape))
        k, v = k.contiguous(), v.contiguous()
        log_sums = q.new_empty((*q.shape[:3], 1), dtype=_wide(q.dtype))  # to the base of 2
        scale = LEVELS / (LEVELS - dropped)
        for queries, keys in _pieces(q.shape, k.shape[2]):
            scores = _scores(q, k, bias, queries, keys)
            highest = scores.amax(-1, keepdim=True)
            shares = scores.sub_(highest).exp2_()
            sums = shares.sum(-1, keepdim=True)
            log_sums[queries] = highest + sums.log2()
            shares = shares.to(v.dtype).mul_(
                kept(random_bytes(shares.shape, source), dropped, v.dtype)
            )
            torch.mul(shares @ v[keys], scale / sums, out=out[queries])
        ctx.save_for_backward(q, k, v, bias, log_sums, out)
        ctx.seed, ctx.dropped, ctx.scale = seed, dropped, scale
        return out

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, bias, log_sums, out = ctx.saved_tensors
        source = np.random.SFC64(ctx.seed)
        dq, dk, dv = torch.empty_like(out), torch.zeros_like(k), torch.zeros_like(v)
        for queries, keys in _pieces(q.shape, k.shape[2]):
            scores = _scores(q, k, bias, queries, keys)
            shares = scores.sub_(log_sums[queries]).exp2_().to(v.dtype)
            keep = kept(random_bytes(shares.shape, source), ctx.dropped, v.dtype)
            mean = (gradient[queries] * out[queries]).sum(-1, keepdim=True)
            d_out = gradient[queries] * ctx.scale
            # of a softmax: shares * (d_shares - their mean under the shares)
            d_scores = torch.addcmul(-mean, d_out @ v[keys].mT, keep).mul_(shares)
            torch.mul(d_scores @ k[keys], q.shape[-1] ** -0.5, out=dq[queries])
            dk[keys] += (d_scores.mT @ q[queries]).mul_(math.log(2))
            dv[keys] += shares.mul_(keep).mT @ d_out
        return dq, dk, dv, None, None


def dropped_attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, p: float) -> Tensor:
    """dropout(softmax(q k^T / sqrt(D))) v over what is not later; (B, H, T, D) each -> the same.

    mask: (B, 1, T, T) bool, None for plain causal. p is rounded to 1/256.
    """
    bias = None
    if mask is not None:
        bias = torch.zeros(mask.shape, dtype=_wide(q.dtype)).masked_fill_(~mask, -math.inf)
        bias = bias.expand(q.shape[0], 1, -1, -1)
    dropped = min(max(1, round(p * LEVELS)), LEVELS - 1)
    out: Tensor = _Dropped.apply(q, k, v, bias, dropped)  # type: ignore[no-untyped-call]
    return out


def _wide(dtype: torch.dtype) -> torch.dtype:
    """What is computed in that is not a product."""
    return torch.promote_types(dtype, torch.float32)


def _scores(q: Tensor, k: Tensor, bias: Tensor | None, queries: Piece, keys: Piece) -> Tensor:
    """What shares are the powers of, to the base of 2; -inf for keys that a query may not look at."""
    scores = (q[queries] @ k[keys].mT).to(_wide(q.dtype))
    if bias is not None:
        return scores.add_(bias[(*queries, keys[2])])
    later = scores[..., queries[2]]  # all of the others are earlier
    later += torch.full(later.shape[-2:], -math.inf, dtype=later.dtype).triu(1)
    return scores


def _pieces(shape: torch.Size, n_keys: int) -> Iterator[tuple[Piece, Piece]]:
    """Where some queries of `shape` (B, H, T, D) stand, and the keys that they may look at."""
    B, H, T, _ = shape  # noqa: N806
    rows = max(1, AT_ONCE // (H * min(T, QUERIES) * n_keys))
    everywhere = slice(None)
    for first in range(0, B, rows):
        row = slice(first, first + rows)
        for begin in range(0, T, QUERIES):
            queries, keys = slice(begin, begin + QUERIES), slice(0, begin + QUERIES)
            yield (row, everywhere, queries), (row, everywhere, keys)
