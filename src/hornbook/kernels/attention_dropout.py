"""Attention with dropout of its weights on a CPU: no weights saved, masks drawn as bytes.

PyTorch's fused kernel has no dropout on a CPU and falls back to one that saves three tensors of
(B, H, T, T) floats for the backward pass. Here the weights are computed for a few rows of the batch at
a time, small enough for the cache, and again for the backward pass, as are the random bytes. Dao et al.
2022 do so in a GPU's fast memory.

B batch, T positions, H heads, D channels of a head.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from hornbook.kernels.dropout import (
    LEVELS,
    byte_threshold,
    keep_mask,
    new_seed,
    random_bytes,
)
from hornbook.kernels.tuning import ATTENTION_CHUNK, QUERY_CHUNK
from hornbook.layers.attention import CausalAttention

Index = tuple[slice, slice, slice]  # of rows, heads and positions


class Chunks(NamedTuple):
    """How much is computed at once: attention weights, and queries in a row."""

    weights: int = ATTENTION_CHUNK
    queries: int = QUERY_CHUNK


class _AttentionDropout(torch.autograd.Function):
    """Powers of 2, not of e: a CPU needs a quarter of the time where most scores are -inf."""

    @staticmethod
    def forward(
        ctx: Any,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        bias: Tensor | None,
        threshold: int,
        chunks: Chunks,
    ) -> Tensor:
        seed = new_seed()
        source = np.random.SFC64(seed)
        out = torch.empty_like(q)  # in the memory order of q, so heads merge without a copy
        q = torch.mul(q, math.log2(math.e) * q.shape[-1] ** -0.5, out=q.new_empty(q.shape))
        k, v = k.contiguous(), v.contiguous()
        log_sums = q.new_empty((*q.shape[:3], 1), dtype=_at_least_float32(q.dtype))  # base 2
        scale = LEVELS / (LEVELS - threshold)
        for queries, keys in indices(q.shape, k.shape[2], chunks):
            scores = _scores(q, k, bias, queries, keys)
            highest = scores.amax(-1, keepdim=True)
            weights = scores.sub_(highest).exp2_()
            sums = weights.sum(-1, keepdim=True)
            log_sums[queries] = highest + sums.log2()
            weights = weights.to(v.dtype).mul_(
                keep_mask(random_bytes(weights.shape, source), threshold, v.dtype)
            )
            torch.mul(weights @ v[keys], scale / sums, out=out[queries])
        ctx.save_for_backward(q, k, v, bias, log_sums, out)
        ctx.seed, ctx.threshold, ctx.scale, ctx.chunks = seed, threshold, scale, chunks
        return out

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, bias, log_sums, out = ctx.saved_tensors
        source = np.random.SFC64(ctx.seed)
        dq, dk, dv = torch.empty_like(out), torch.zeros_like(k), torch.zeros_like(v)
        for queries, keys in indices(q.shape, k.shape[2], ctx.chunks):
            scores = _scores(q, k, bias, queries, keys)
            weights = scores.sub_(log_sums[queries]).exp2_().to(v.dtype)
            keep = keep_mask(random_bytes(weights.shape, source), ctx.threshold, v.dtype)
            mean = (gradient[queries] * out[queries]).sum(-1, keepdim=True)
            d_out = gradient[queries] * ctx.scale
            # of a softmax: weights * (d_weights - their mean under the weights)
            d_scores = torch.addcmul(-mean, d_out @ v[keys].mT, keep).mul_(weights)
            torch.mul(d_scores @ k[keys], q.shape[-1] ** -0.5, out=dq[queries])
            dk[keys] += (d_scores.mT @ q[queries]).mul_(math.log(2))
            dv[keys] += weights.mul_(keep).mT @ d_out
        return dq, dk, dv, None, None, None


def attention_dropout(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, p: float, chunks: Chunks | None = None
) -> Tensor:
    """dropout(softmax(q k^T / sqrt(D))) v over no later position; (B, H, T, D) each -> the same.

    mask: (B, 1, T, T) bool; None: all earlier positions. p is rounded to 1/256.
    """
    bias = None
    if mask is not None:
        bias = torch.zeros(mask.shape, dtype=_at_least_float32(q.dtype), device=q.device)
        bias = bias.masked_fill_(~mask, -math.inf).expand(q.shape[0], 1, -1, -1)
    arguments = q, k, v, bias, byte_threshold(p), chunks or Chunks()
    out: Tensor = _AttentionDropout.apply(*arguments)  # type: ignore[no-untyped-call]
    return out


def _at_least_float32(dtype: torch.dtype) -> torch.dtype:
    """The dtype of everything but products of matrices."""
    return torch.promote_types(dtype, torch.float32)


def _scores(q: Tensor, k: Tensor, bias: Tensor | None, queries: Index, keys: Index) -> Tensor:
    """Exponents of 2 of the weights, before their sums; -inf for keys outside the mask."""
    scores = (q[queries] @ k[keys].mT).to(_at_least_float32(q.dtype))
    if bias is not None:
        return scores.add_(bias[(*queries, keys[2])])
    last = scores[..., queries[2]]  # all other keys are earlier than the queries
    last += last.new_full(last.shape[-2:], -math.inf).triu(1)
    return scores


def indices(shape: torch.Size, n_keys: int, chunks: Chunks) -> Iterator[tuple[Index, Index]]:
    """Pairs of queries of `shape` (B, H, T, D) and the keys that they may attend to."""
    B, H, T, _ = shape  # noqa: N806
    rows = max(1, chunks.weights // (H * min(T, chunks.queries) * n_keys))
    every = slice(None)
    for first in range(0, B, rows):
        row = slice(first, first + rows)
        for begin in range(0, T, chunks.queries):
            end = begin + chunks.queries
            yield (row, every, slice(begin, end)), (row, every, slice(0, end))


class CpuCausalAttention(CausalAttention):
    """`CausalAttention` with `attention_dropout` where there is dropout."""

    def forward(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
        """q (B, H, T, D), k and v (B, G, T, D) -> (B, H, T, D); grouped queries as in PyTorch."""
        if self.training and self.p and q.is_cpu and q.shape[1] == k.shape[1]:
            return attention_dropout(q, k, v, mask, self.p)
        return super().forward(q, k, v, mask)
