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

import torch
from torch import Tensor

from hornbook.layers.dropout import LEVELS, generator_at, kept, random_bytes

AT_ONCE = 1 << 20  # attention weights
QUERIES = 128  # in one piece: they look at no key after the last of them


class _Dropped(torch.autograd.Function):
    """Powers of 2, not of e: a CPU takes a quarter of the time over them where most scores are -inf."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, bias: Tensor, dropped: int) -> Tensor:
        state = torch.get_rng_state()
        log_sums = q.new_empty((*q.shape[:3], 1), dtype=bias.dtype)  # to the base of 2
        out = torch.empty_like(q)
        scale = LEVELS / (LEVELS - dropped)
        for queries, keys, weights in _pieces(q.shape, k.shape[2]):
            scores = _scores(q[queries], k[keys], bias[weights])
            highest = scores.amax(-1, keepdim=True)
            shares = scores.sub_(highest).exp2_()
            sums = shares.sum(-1, keepdim=True)
            log_sums[queries] = highest + sums.log2()
            shares.mul_(kept(random_bytes(shares.shape), dropped, shares.dtype))
            out[queries] = (shares.to(v.dtype) @ v[keys]).mul_(scale / sums)
        ctx.save_for_backward(q, k, v, bias, state, log_sums, out)
        ctx.dropped, ctx.scale = dropped, scale
        return out

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, bias, state, log_sums, out = ctx.saved_tensors
        again = generator_at(state)
        dq, dk, dv = torch.empty_like(q), torch.zeros_like(k), torch.zeros_like(v)
        scale = q.shape[-1] ** -0.5
        for queries, keys, weights in _pieces(q.shape, k.shape[2]):
            shares = _scores(q[queries], k[keys], bias[weights]).sub_(log_sums[queries]).exp2_()
            keep = kept(random_bytes(shares.shape, again), ctx.dropped, shares.dtype)
            d_out = gradient[queries] * ctx.scale
            d_shares = (d_out @ v[keys].mT).to(shares.dtype).mul_(keep)
            # of a softmax: shares * (d_shares - their mean under the shares)
            mean = (gradient[queries] * out[queries]).sum(-1, keepdim=True).to(shares.dtype)
            d_scores = d_shares.sub_(mean).mul_(shares).to(q.dtype)
            dq[queries] = (d_scores @ k[keys]).mul_(scale)
            dk[keys] += (d_scores.mT @ q[queries]).mul_(scale)
            dv[keys] += shares.mul_(keep).to(v.dtype).mT @ d_out
        return dq, dk, dv, None, None


def dropped_attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, p: float) -> Tensor:
    """dropout(softmax(q k^T / sqrt(D))) v over what is not later; (B, H, T, D) each -> the same.

    mask: (B, 1, T, T) bool, None for plain causal. p is rounded to 1/256.
    """
    if mask is None:
        mask = torch.ones(q.shape[2], k.shape[2], dtype=torch.bool).tril()
    dtype = torch.promote_types(q.dtype, torch.float32)
    bias = (
        torch.zeros(mask.shape, dtype=dtype)
        .masked_fill_(~mask, -math.inf)
        .expand(q.shape[0], 1, -1, -1)
    )
    dropped = min(max(1, round(p * LEVELS)), LEVELS - 1)
    out: Tensor = _Dropped.apply(q, k, v, bias, dropped)  # type: ignore[no-untyped-call]
    return out


def _scores(q: Tensor, k: Tensor, bias: Tensor) -> Tensor:
    """What shares are the powers of, to the base of 2."""
    return torch.add(bias, q @ k.mT, alpha=math.log2(math.e) * q.shape[-1] ** -0.5)


Piece = tuple[slice, slice, slice]


def _pieces(
    shape: torch.Size, n_keys: int
) -> Iterator[tuple[Piece, Piece, tuple[slice, slice, slice, slice]]]:
    """Where some queries of `shape` (B, H, T, D) stand, the keys that they may look at, their bias."""
    B, H, T, _ = shape  # noqa: N806
    rows = max(1, AT_ONCE // (H * min(T, QUERIES) * n_keys))
    everywhere = slice(None)
    for first in range(0, B, rows):
        row = slice(first, first + rows)
        for begin in range(0, T, QUERIES):
            queries, keys = slice(begin, begin + QUERIES), slice(0, begin + QUERIES)
            yield (
                (row, everywhere, queries),
                (row, everywhere, keys),
                (row, everywhere, queries, keys),
            )
