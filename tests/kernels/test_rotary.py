"""The rotation in place against the textbook layer."""

from __future__ import annotations

import torch

from hornbook.kernels.rotary import CpuRotation
from hornbook.layers.rotary import Rotation, rotary_angles


def test_it_and_its_gradient_are_the_textbooks() -> None:
    x = torch.randn(2, 3, 5, 8, dtype=torch.float64, requires_grad=True)
    cos, sin = rotary_angles(torch.arange(5), 8, 100.0)
    towards = torch.randn_like(x)
    results = []
    for layer in (CpuRotation(), Rotation()):
        out = layer(x, cos, sin)
        results.append((out, *torch.autograd.grad((out * towards).sum(), x)))
    torch.testing.assert_close(*results, atol=1e-12, rtol=0)
