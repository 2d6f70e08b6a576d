"""RMSNorm against its formula."""

from __future__ import annotations

import torch

from hornbook.layers.norms import RMSNorm


def test_it_is_the_formula() -> None:
    layer = RMSNorm(6, eps=0.1).double()
    torch.nn.init.normal_(layer.weight)
    x = torch.randn(3, 5, 6, dtype=torch.float64)
    expected = x / (x.square().mean(-1, keepdim=True) + 0.1).sqrt() * layer.weight
    torch.testing.assert_close(layer(x), expected, atol=1e-12, rtol=0)


def test_half_precision_is_normalized_in_float32() -> None:
    x = torch.randn(4, 64)
    found = RMSNorm(64)(x.bfloat16())
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), RMSNorm(64)(x), atol=0.03, rtol=0)
