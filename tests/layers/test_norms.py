"""RMSNorm and rotary positions against what they are made of."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from hornbook.layers.attention import rotary_angles, rotate
from hornbook.layers.norms import RMSNorm


@pytest.mark.parametrize("transposed", [False, True])
def test_rmsnorm_and_its_gradients_are_torchs(transposed: bool) -> None:
    torch.manual_seed(0)
    layer = RMSNorm(6).double()
    torch.nn.init.normal_(layer.weight)
    x = torch.randn(3, 5, 4, 6, dtype=torch.float64)
    x = (x.transpose(1, 2) if transposed else x).requires_grad_()
    towards = torch.randn(x.shape, dtype=torch.float64)
    found = torch.autograd.grad((layer(x) * towards).sum(), [x, layer.weight])
    plain = F.rms_norm(x, (6,), layer.weight, layer.eps)
    expected = torch.autograd.grad((plain * towards).sum(), [x, layer.weight])
    torch.testing.assert_close(layer(x), plain)
    torch.testing.assert_close(found, expected)
    layer.plain = True
    assert torch.equal(layer(x), plain)


def test_one_vector_and_second_derivatives() -> None:
    torch.manual_seed(0)
    layer = RMSNorm(4).double()
    x = torch.randn(4, dtype=torch.float64, requires_grad=True)
    torch.autograd.gradcheck(layer, (x,))
    (first,) = torch.autograd.grad(layer(x).square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):  # rather than a wrong figure
        first.sum().backward()
    layer.plain = True
    torch.autograd.gradgradcheck(layer, (x,))
    assert torch.func.grad(lambda x: layer(x).square().sum())(x.detach()).shape == x.shape


def test_rotation_turns_pairs_of_channels_and_back() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 3, 5, 8, dtype=torch.float64, requires_grad=True)
    cos, sin = rotary_angles(torch.arange(5), 8, 100.0)
    cos, sin = cos.double(), sin.double()
    first, second = x.chunk(2, dim=-1)
    expected = x * cos + torch.cat([-second, first], dim=-1) * sin
    found = rotate(x, cos, sin)
    torch.testing.assert_close(found, expected)
    towards = torch.randn_like(x)
    torch.testing.assert_close(
        torch.autograd.grad((found * towards).sum(), x),
        torch.autograd.grad((expected * towards).sum(), x),
    )
