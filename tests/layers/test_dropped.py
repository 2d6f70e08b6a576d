"""Attention with dropout: the plain formula with the same mask, forwards and backwards."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from hornbook.layers import dropped
from hornbook.layers.attention import causal_attention, document_mask
from hornbook.layers.dropout import LEVELS, new_seed, random_bytes

SHAPE = (5, 2, 7, 4)  # B, H, T, D


def formula(q: Tensor, k: Tensor, v: Tensor, mask: Tensor, p: float) -> Tensor:
    """As in the notes, with masks from the same bytes."""
    noise = torch.zeros(*q.shape[:3], k.shape[2], dtype=torch.uint8)
    source = np.random.SFC64(new_seed())
    for queries, keys in dropped._pieces(q.shape, k.shape[2]):
        weights = (*queries, keys[2])
        noise[weights] = random_bytes(noise[weights].shape, source)
    limit = round(p * LEVELS)
    scores = (q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5).masked_fill(~mask, float("-inf"))
    keep = (noise >= limit).double() * (LEVELS / (LEVELS - limit))
    return (scores.softmax(-1) * keep) @ v


@pytest.mark.parametrize("at_once", [1, 200, 1 << 20])
@pytest.mark.parametrize("queries", [1, 3, 128])
@pytest.mark.parametrize("packed", [False, True])
def test_it_is_the_formula_with_its_gradients(
    at_once: int, queries: int, packed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dropped, "AT_ONCE", at_once)
    monkeypatch.setattr(dropped, "QUERIES", queries)
    torch.manual_seed(0)
    mask = None
    whole = torch.ones(7, 7, dtype=torch.bool).tril()
    if packed:
        mask = whole = document_mask(torch.tensor([[0, 0, 2, 2, 2, 5, 5]]).expand(5, -1))
    parts = [torch.randn(SHAPE, dtype=torch.float64, requires_grad=True) for _ in range(3)]
    weights = torch.randn(SHAPE, dtype=torch.float64)
    results = []
    for attention in (causal_attention, formula):
        torch.manual_seed(1)
        out = attention(*parts, mask if attention is causal_attention else whole, 0.3)
        results.append((out, *torch.autograd.grad((out * weights).sum(), parts)))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-12, rtol=1e-10)


def test_the_mean_over_masks_is_attention_without_dropout() -> None:
    torch.manual_seed(0)
    q, k, v = (torch.randn(1, 1, 6, 4, dtype=torch.float64) for _ in range(3))
    rows = [x.expand(20_000, -1, -1, -1) for x in (q, k, v)]
    mean = causal_attention(*rows, None, 0.2).mean(0)
    torch.testing.assert_close(mean, causal_attention(q, k, v, None)[0], atol=0.02, rtol=0)


def test_half_precision_stays_near() -> None:
    torch.manual_seed(0)
    parts = [torch.randn(SHAPE) for _ in range(3)]
    outs = []
    for dtype in (torch.float32, torch.bfloat16):
        torch.manual_seed(1)
        outs.append(causal_attention(*(x.to(dtype) for x in parts), None, 0.2))
    assert outs[1].dtype == torch.bfloat16
    torch.testing.assert_close(outs[1].float(), outs[0], atol=0.05, rtol=0.05)


def test_in_a_compiled_function_masks_are_torchs_own() -> None:
    """Bytes seen as numbers of another size are more than a graph can hold."""
    q, k, v = (torch.randn(3, 2, 9, 8, requires_grad=True) for _ in range(3))
    compiled = torch.compile(causal_attention, backend="aot_eager")
    outs = [compiled(q, k, v, None, 0.3) for _ in range(2)]
    assert not torch.equal(*outs)
    for gradient in torch.autograd.grad(outs[0].sum(), (q, k, v)):
        assert gradient.isfinite().all()
