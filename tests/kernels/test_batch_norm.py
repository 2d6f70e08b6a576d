"""BatchNorm by hand against the textbook layer."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from hornbook.kernels.batch_norm import CpuBatchNorm1d
from hornbook.layers.basic import BatchNorm1d


def run(layer: BatchNorm1d, x: Tensor, towards: Tensor) -> list[Tensor]:
    """Output, gradients and running statistics."""
    out = layer(x)
    gradients = torch.autograd.grad((out * towards).sum(), [x, layer.gamma, layer.beta])
    return [out.detach(), *gradients, layer.running_mean, layer.running_var]


@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("shape", [(32, 6), (4, 8, 6)])
def test_it_and_its_gradients_are_the_textbooks(biased: bool, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    layer, textbook = CpuBatchNorm1d(6, biased=biased), BatchNorm1d(6, biased=biased)
    layer, textbook = layer.double(), textbook.double()
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter)
    textbook.load_state_dict(layer.state_dict())
    x = (3 * torch.randn(*shape, dtype=torch.float64) + 2).requires_grad_()
    towards = torch.randn(shape, dtype=torch.float64)
    found, expected = run(layer, x, towards), run(textbook, x, towards)
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)
    assert torch.equal(layer.eval()(x), textbook.eval()(x))
    (first,) = torch.autograd.grad(layer.train()(x).square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):  # rather than a wrong number
        first.sum().backward()
