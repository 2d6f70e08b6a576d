"""Causal attention against its formula."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from hornbook.layers.attention import (
    CausalAttention,
    attention_weights,
    document_mask,
    merge_heads,
    split_heads,
)


def formula(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    groups = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(groups, 1), v.repeat_interleave(groups, 1)
    scores = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5
    return scores.masked_fill(~mask, float("-inf")).softmax(-1) @ v


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("packed", [False, True])
def test_it_is_the_formula(groups: int, packed: bool) -> None:
    q = torch.randn(3, 4, 7, 6, dtype=torch.float64)
    k, v = torch.randn(2, 3, groups, 7, 6, dtype=torch.float64)
    mask, whole = None, torch.ones(7, 7, dtype=torch.bool).tril()
    if packed:
        mask = whole = document_mask(torch.tensor([[0, 0, 2, 2, 2, 5, 5]]).expand(3, -1))
    expected = formula(q, k, v, whole)
    torch.testing.assert_close(CausalAttention()(q, k, v, mask), expected, atol=1e-12, rtol=0)
    weights = attention_weights(q, k, mask)
    v = v.repeat_interleave(4 // groups, 1)
    torch.testing.assert_close(weights @ v, expected, atol=1e-12, rtol=0)


def test_a_document_mask_is_causal_and_stays_in_its_document() -> None:
    mask = document_mask(torch.tensor([[0, 0, 2, 2]]))[0, 0]
    assert mask.int().tolist() == [[1, 0, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 1, 1]]


def test_dropout_is_on_in_training_alone_and_keeps_the_mean() -> None:
    torch.manual_seed(0)
    q, k, v = torch.randn(3, 1, 1, 6, 4, dtype=torch.float64)
    layer = CausalAttention(0.2)
    expected = layer.eval()(q, k, v)
    torch.testing.assert_close(expected, CausalAttention()(q, k, v))
    rows = [x.expand(20_000, -1, -1, -1) for x in (q, k, v)]
    mean = layer.train()(*rows).mean(0)
    torch.testing.assert_close(mean, expected[0], atol=0.02, rtol=0)


def test_heads_are_split_and_merged() -> None:
    x = torch.randn(2, 5, 12)
    heads = split_heads(x, 3)
    assert heads.shape == (2, 3, 5, 4)
    assert torch.equal(heads[:, 1], x[..., 4:8])
    assert torch.equal(merge_heads(heads), x)
