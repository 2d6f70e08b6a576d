"""The figure of attention."""

from __future__ import annotations

import torch

from hornbook.api import Run
from hornbook.figures.attention import attention_maps
from hornbook.layers.attention import CausalAttention, attention_weights


def test_attention_looks_at_nothing_later(small_run: Run) -> None:
    for weights in attention_maps(small_run, [0, 1, 2, 3, 1]):
        torch.testing.assert_close(weights.sum(-1), torch.ones(weights.shape[:2]))
        assert weights.triu(1).abs().max() == 0


def test_attention_weights_are_those_of_the_fused_kernel() -> None:
    torch.manual_seed(0)
    q, k, v = torch.randn(2, 4, 7, 8), torch.randn(2, 2, 7, 8), torch.randn(2, 2, 7, 8)
    own = torch.ones(2, 1, 7, 7, dtype=torch.bool).tril()
    own[:, :, 4:, :4] = False  # two documents
    for mask in (None, own):
        expected = CausalAttention()(q, k, v, mask)
        weights = attention_weights(q, k, mask)
        torch.testing.assert_close(weights @ v.repeat_interleave(2, dim=1), expected)
