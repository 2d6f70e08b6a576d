"""The short convolution against a plain sum over earlier positions."""

from __future__ import annotations

import torch
from torch import Tensor

from hornbook.layers.convolution import ConvolutionCache, ShortConvolution, same_document
from hornbook.layers.documents import document_starts


def loop(x: Tensor, weight: Tensor, starts: Tensor | None) -> Tensor:
    """Position by position."""
    rows = []
    for b in range(x.shape[0]):
        positions = []
        for t in range(x.shape[1]):
            first = 0 if starts is None else int(starts[b, t])
            y = x[b, t]
            for i in range(1, len(weight) + 1):
                if t - i >= first:
                    y = y + weight[-i, 0] * x[b, t - i]
            positions.append(y)
        rows.append(torch.stack(positions))
    return torch.stack(rows)


def random_layer(dim: int, kernel: int) -> ShortConvolution:
    torch.manual_seed(0)
    layer = ShortConvolution(dim, kernel).double()
    torch.nn.init.normal_(layer.weight)
    return layer


def test_it_is_the_sum_over_earlier_positions_of_the_document() -> None:
    layer = random_layer(3, 4)
    ids = torch.tensor([[5, 0, 4, 3, 2, 1, 6, 0, 1], [0, 0, 1, 2, 3, 4, 5, 6, 7]])
    starts = document_starts(ids, 0)
    x = torch.randn(2, 9, 3, dtype=torch.float64)
    same = same_document(starts, 4, x.dtype)
    torch.testing.assert_close(layer(x, same), loop(x, layer.weight, starts))
    torch.testing.assert_close(layer(x), loop(x, layer.weight, None))
    torch.testing.assert_close(layer(x[:, :2]), loop(x[:, :2], layer.weight, None))


def test_decoding_is_the_same_as_the_whole_row() -> None:
    layer = random_layer(3, 4)
    x = torch.randn(2, 9, 3, dtype=torch.float64)
    for first in (1, 2, 5):
        cache = ConvolutionCache()
        parts = [layer(x[:, :first], cache=cache)]
        parts += [layer(x[:, t : t + 1], cache=cache) for t in range(first, 9)]
        torch.testing.assert_close(torch.cat(parts, dim=1), layer(x))


def test_it_begins_as_the_identity() -> None:
    x = torch.randn(2, 6, 4)
    assert torch.equal(ShortConvolution(4, 5)(x), x)
