"""The short convolution in place against the textbook layer."""

from __future__ import annotations

import pytest
import torch

from hornbook.kernels.convolution import CpuShortConvolution
from hornbook.layers.convolution import ShortConvolution, same_document
from hornbook.layers.documents import document_starts


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("length", [1, 2, 5])  # shorter and longer than the kernel
def test_it_and_its_gradients_are_the_textbooks(packed: bool, length: int) -> None:
    torch.manual_seed(0)
    layer, textbook = CpuShortConvolution(2, 4).double(), ShortConvolution(2, 4).double()
    torch.nn.init.normal_(layer.weight)
    textbook.load_state_dict(layer.state_dict())
    x = torch.randn(2, length, 2, dtype=torch.float64, requires_grad=True)
    ids = torch.tensor([[1, 2, 0, 3, 4], [0, 1, 2, 3, 0]])[:, :length]
    same = same_document(document_starts(ids, 0), 4, x.dtype) if packed else None
    results = []
    for one in (layer, textbook):
        out = one(x, same)
        gradients = torch.autograd.grad(out.square().sum(), (x, one.weight), allow_unused=True)
        results.append((out, *(g for g in gradients if g is not None and g.any())))
    torch.testing.assert_close(*results, atol=1e-12, rtol=0)
