"""A linear layer for one row, by pieces of its matrix.

One row reads the whole matrix and computes little with it, so its speed is that of the memory. Some
BLAS read the matrix on one thread then; a batch of pieces of its rows is read on all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from hornbook.kernels.tuning import WIDE_ROW


class PiecewiseLinear(nn.Linear):
    """x W^T + b, (..., in) -> (..., out); one row by as many pieces of W as there are threads."""

    def forward(self, x: Tensor) -> Tensor:
        """Equal to `nn.Linear` to rounding."""
        pieces = torch.get_num_threads()
        if x.numel() != self.in_features or len(self.weight) % pieces:
            return super().forward(x)
        rows = self.weight.view(pieces, -1, self.in_features)  # (P, out / P, in)
        if self.in_features < WIDE_ROW:
            # a last stride of 1 would mean a product 5 times as slow
            row = x.contiguous().as_strided((pieces, x.numel(), 1), (0, 1, x.numel()))
            factors = rows, row
        else:
            factors = x.reshape(1, 1, -1).expand(pieces, -1, -1), rows.mT
        if self.bias is None:
            out = torch.bmm(*factors)
        else:
            out = torch.baddbmm(self.bias.view(pieces, factors[0].shape[1], -1), *factors)
        return out.view(*x.shape[:-1], -1)


@contextmanager
def piecewise_linears(model: nn.Module) -> Iterator[None]:
    """The linear layers of a model are piecewise inside, as long as a graph is traced."""
    linears = [module for module in model.modules() if type(module) is nn.Linear]
    for linear in linears:
        linear.__class__ = PiecewiseLinear
    try:
        yield
    finally:
        for linear in linears:
            linear.__class__ = nn.Linear
