"""Plain gradient descent."""

from __future__ import annotations

import torch

from hornbook.optim.descent import GradientDescent


def test_a_step_is_the_formula_to_the_bit() -> None:
    torch.manual_seed(0)
    parameters = [torch.nn.Parameter(torch.randn(30, 20)) for _ in range(3)]
    before = [p.detach().clone() for p in parameters]
    for p in parameters[:2]:
        p.grad = torch.randn_like(p)
    GradientDescent(parameters, lr=0.3).step()
    for p, old in zip(parameters[:2], before[:2], strict=True):
        assert p.grad is not None
        assert torch.equal(p.detach(), old - 0.3 * p.grad)
    assert torch.equal(parameters[2].detach(), before[2])  # has no gradient
