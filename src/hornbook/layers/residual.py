"""Residual branches."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class ResidualDropout(nn.Module):
    """x + dropout(branch): a branch added to the residual stream (Srivastava et al. 2014).

    In training a share p of the branch is set to 0 and the rest scaled by 1 / (1 - p).
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor, branch: Tensor) -> Tensor:
        """(B, T, C) each -> (B, T, C)."""
        return x + F.dropout(branch, self.p, self.training)

    def extra_repr(self) -> str:
        """As torch shows its own."""
        return f"p={self.p}"
