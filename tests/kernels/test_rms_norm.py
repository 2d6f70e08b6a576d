"""RMSNorm by hand against the textbook layer."""

from __future__ import annotations

import pytest
import torch

from hornbook.kernels.rms_norm import CpuRMSNorm
from hornbook.layers.norms import RMSNorm


@pytest.mark.parametrize("transposed", [False, True])
def test_it_and_its_gradients_are_the_textbooks(transposed: bool) -> None:
    torch.manual_seed(0)
    layer, textbook = CpuRMSNorm(6).double(), RMSNorm(6).double()
    torch.nn.init.normal_(layer.weight)
    textbook.load_state_dict(layer.state_dict())
    x = torch.randn(3, 5, 4, 6, dtype=torch.float64)
    x = (x.transpose(1, 2) if transposed else x).requires_grad_()
    towards = torch.randn(x.shape, dtype=torch.float64)
    found = torch.autograd.grad((layer(x) * towards).sum(), [x, layer.weight])
    expected = torch.autograd.grad((textbook(x) * towards).sum(), [x, textbook.weight])
    torch.testing.assert_close(layer(x), textbook(x), atol=1e-12, rtol=0)
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)
    with torch.no_grad():
        assert torch.equal(layer(x), textbook(x))


def test_one_vector_and_no_second_derivatives() -> None:
    torch.manual_seed(0)
    layer = CpuRMSNorm(4).double()
    x = torch.randn(4, dtype=torch.float64, requires_grad=True)
    torch.autograd.gradcheck(layer, (x,))
    (first,) = torch.autograd.grad(layer(x).square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):  # rather than a wrong number
        first.sum().backward()
