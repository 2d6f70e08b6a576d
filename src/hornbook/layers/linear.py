"""torch's linear layer, faster for the one row that a text is written with."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Linear(nn.Linear):
    """x W^T + b, (..., in) -> (..., out).

    One row alone only reads W once, so its speed is that of the memory. The BLAS's product of a
    matrix and a vector uses one thread here; a batch of the rows of W in pieces uses all.
    """

    def forward(self, x: Tensor) -> Tensor:
        """The product, and the bias where there is one."""
        pieces = torch.get_num_threads()
        if (
            x.numel() != self.in_features
            or torch.is_grad_enabled()
            or x.device.type != "cpu"
            or x.dtype != self.weight.dtype
            or pieces == 1
            or self.out_features % pieces
        ):
            return super().forward(x)
        weight = self.weight.view(pieces, -1, self.in_features)  # (pieces, out / pieces, in)
        out = torch.bmm(weight, x.reshape(1, -1, 1).expand(pieces, -1, 1)).view(*x.shape[:-1], -1)
        return out if self.bias is None else out.add_(self.bias)
