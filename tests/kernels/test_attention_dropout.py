"""Attention with dropout: the formula with the same mask, forward and backward."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from hornbook.kernels.attention_dropout import (
    Chunks,
    CpuCausalAttention,
    attention_dropout,
    indices,
)
from hornbook.kernels.dropout import LEVELS, new_seed, random_bytes
from hornbook.layers.attention import CausalAttention, document_mask

SHAPE = (5, 2, 7, 4)  # B, H, T, D


def formula(q: Tensor, k: Tensor, v: Tensor, mask: Tensor, p: float, chunks: Chunks) -> Tensor:
    """As in the notes, with masks from the same bytes."""
    noise = torch.zeros(*q.shape[:3], k.shape[2], dtype=torch.uint8)
    source = np.random.SFC64(new_seed())
    for queries, keys in indices(q.shape, k.shape[2], chunks):
        weights = (*queries, keys[2])
        noise[weights] = random_bytes(noise[weights].shape, source)
    limit = round(p * LEVELS)
    scores = (q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5).masked_fill(~mask, float("-inf"))
    keep = (noise >= limit).double() * (LEVELS / (LEVELS - limit))
    return (scores.softmax(-1) * keep) @ v


@pytest.mark.parametrize("weights", [1, 200, 1 << 20])
@pytest.mark.parametrize("queries", [1, 3, 128])
@pytest.mark.parametrize("packed", [False, True])
def test_it_is_the_formula_with_its_gradients(weights: int, queries: int, packed: bool) -> None:
    torch.manual_seed(0)
    chunks, mask = Chunks(weights, queries), None
    whole = torch.ones(7, 7, dtype=torch.bool).tril()
    if packed:
        mask = whole = document_mask(torch.tensor([[0, 0, 2, 2, 2, 5, 5]]).expand(5, -1))
    parts = [torch.randn(SHAPE, dtype=torch.float64, requires_grad=True) for _ in range(3)]
    towards = torch.randn(SHAPE, dtype=torch.float64)
    results = []
    for attention in (attention_dropout, formula):
        torch.manual_seed(1)
        out = attention(*parts, mask if attention is attention_dropout else whole, 0.3, chunks)
        results.append((out, *torch.autograd.grad((out * towards).sum(), parts)))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-12, rtol=1e-10)


def test_the_mean_over_masks_is_attention_without_dropout() -> None:
    torch.manual_seed(0)
    q, k, v = (torch.randn(1, 1, 6, 4, dtype=torch.float64) for _ in range(3))
    rows = [x.expand(20_000, -1, -1, -1) for x in (q, k, v)]
    mean = attention_dropout(*rows, None, 0.2).mean(0)
    torch.testing.assert_close(mean, CausalAttention()(q, k, v)[0], atol=0.02, rtol=0)


def test_half_precision_stays_near() -> None:
    torch.manual_seed(0)
    parts = [torch.randn(SHAPE) for _ in range(3)]
    outs = []
    for dtype in (torch.float32, torch.bfloat16):
        torch.manual_seed(1)
        outs.append(attention_dropout(*(x.to(dtype) for x in parts), None, 0.2))
    assert outs[1].dtype == torch.bfloat16
    torch.testing.assert_close(outs[1].float(), outs[0], atol=0.05, rtol=0.05)


def test_the_layer_uses_it_in_training_alone() -> None:
    q, k, v = torch.randn(3, *SHAPE)
    layer = CpuCausalAttention(0.2)
    torch.manual_seed(1)
    expected = attention_dropout(q, k, v, None, 0.2)
    torch.manual_seed(1)
    assert torch.equal(layer(q, k, v), expected)
    assert torch.equal(layer.eval()(q, k, v), CausalAttention()(q, k, v))


def test_grouped_queries_have_dropout_too() -> None:
    q, (k, v) = torch.randn(SHAPE), torch.randn(2, 5, 1, 7, 4)
    layer = CpuCausalAttention(0.9)
    assert layer(q, k, v).shape == SHAPE
    assert not torch.equal(layer(q, k, v), layer(q, k, v))
