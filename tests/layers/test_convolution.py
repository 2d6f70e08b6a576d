"""The short convolution against a plain sum over the places before."""

from __future__ import annotations

import torch
from torch import Tensor

from hornbook.layers.convolution import ShortConvolution, same_document
from hornbook.layers.documents import document_starts


def plainly(x: Tensor, weight: Tensor, starts: Tensor | None) -> Tensor:
    """Place by place."""
    rows = []
    for b in range(x.shape[0]):
        places = []
        for t in range(x.shape[1]):
            first = 0 if starts is None else int(starts[b, t])
            y = x[b, t]
            for i in range(1, len(weight) + 1):
                if t - i >= first:
                    y = y + weight[-i, 0] * x[b, t - i]
            places.append(y)
        rows.append(torch.stack(places))
    return torch.stack(rows)


def made(dim: int, kernel: int) -> ShortConvolution:
    torch.manual_seed(0)
    layer = ShortConvolution(dim, kernel).double()
    torch.nn.init.normal_(layer.weight)
    return layer


def test_it_is_the_sum_over_what_is_before_in_the_document() -> None:
    layer = made(3, 4)
    ids = torch.tensor([[5, 0, 4, 3, 2, 1, 6, 0, 1], [0, 0, 1, 2, 3, 4, 5, 6, 7]])
    starts = document_starts(ids, 0)
    x = torch.randn(2, 9, 3, dtype=torch.float64)
    same = same_document(starts, 4, x.dtype)
    torch.testing.assert_close(layer(x, same), plainly(x, layer.weight, starts))
    torch.testing.assert_close(layer(x), plainly(x, layer.weight, None))
    torch.testing.assert_close(layer(x[:, :2]), plainly(x[:, :2], layer.weight, None))


def test_its_gradients_are_those_of_differences() -> None:
    layer = made(2, 3)
    x = torch.randn(2, 5, 2, dtype=torch.float64, requires_grad=True)
    starts = document_starts(torch.tensor([[1, 2, 0, 3, 4], [0, 1, 2, 3, 0]]), 0)
    same = same_document(starts, 3, x.dtype)
    torch.autograd.gradcheck(lambda x, w: plainly(x, w, starts), (x, layer.weight))
    torch.autograd.gradcheck(lambda x, _: layer(x, same), (x, layer.weight))
    for given in (same, None):
        x.grad = layer.weight.grad = None
        layer(x, given).square().sum().backward()
        found = [x.grad, layer.weight.grad]
        x.grad = layer.weight.grad = None
        plainly(x, layer.weight, starts if given else None).square().sum().backward()
        torch.testing.assert_close(found, [x.grad, layer.weight.grad])


def test_it_begins_as_nothing() -> None:
    x = torch.randn(2, 6, 4)
    assert torch.equal(ShortConvolution(4, 5)(x), x)
