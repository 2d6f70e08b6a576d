"""One row by pieces of a matrix: the numbers of `nn.Linear`."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hornbook.kernels.one_row import PiecewiseLinear, piecewise_linears
from hornbook.kernels.tuning import WIDE_ROW


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("n_in", "n_out"), [(6, 8), (WIDE_ROW, 4), (5, 7)])
@pytest.mark.parametrize("shape", [(1,), (1, 1), (3,)])
def test_it_computes_what_a_linear_layer_computes(
    n_in: int, n_out: int, bias: bool, shape: tuple[int, ...]
) -> None:
    torch.manual_seed(0)
    layer = nn.Linear(n_in, n_out, bias=bias).double()
    x = torch.randn(*shape, n_in, dtype=torch.float64)
    expected = layer(x)
    layer.__class__ = PiecewiseLinear
    torch.testing.assert_close(layer(x), expected, rtol=1e-12, atol=1e-12)


def test_layers_are_what_they_were_afterwards() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 2))
    with piecewise_linears(model):
        assert type(model[0]) is PiecewiseLinear
    assert [type(m) for m in model] == [nn.Linear, nn.Tanh, nn.Linear]
