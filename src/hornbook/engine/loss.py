"""The loss that is trained on: cross-entropy and the notes' penalty; also as a function of weights."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.func import functional_call

from hornbook.metrics.loss import batch_loss
from hornbook.models.base import LanguageModel
from hornbook.parallel.shards import full


def l2_penalty(model: LanguageModel, l2: float) -> Tensor:
    """l2 times the mean square of each matrix, summed (the notes' 0.01 * (W**2).mean())."""
    squares = [p.square().mean() for p in model.parameters() if p.ndim >= 2]
    return l2 * torch.stack(squares).sum()


@torch.no_grad()
def add_l2_gradients(parameters: Iterable[Tensor], l2: float) -> Tensor:
    """Adds the gradients of `l2_penalty` to those of sharded parameters, and returns it."""
    penalty = torch.zeros(())
    for parameter in parameters:
        if parameter.ndim >= 2:
            each = l2 / parameter.numel()
            penalty = penalty.to(parameter.device) + each * full(parameter.square().sum())
            own = 2 * each * parameter
            parameter.grad = own if parameter.grad is None else parameter.grad + own
    return penalty


class FunctionalLoss(nn.Module):
    """The loss of a batch as a function of parameters and buffers that are given from outside."""

    def __init__(self, model: LanguageModel, l2: float = 0.0) -> None:
        super().__init__()
        self.model, self.l2 = model, l2
        self._names = [n for n, _ in (*self.named_parameters(), *self.named_buffers())]

    def forward(self, ids: Tensor, targets: Tensor, total: Tensor | None = None) -> Tensor:
        """The loss with the parameters of the model itself, a scalar; total: see `batch_loss`."""
        loss = batch_loss(self.model, ids, targets, total)
        return loss + l2_penalty(self.model, self.l2) if self.l2 else loss

    def with_values(
        self, parameters: list[Tensor], buffers: list[Tensor], ids: Tensor, targets: Tensor
    ) -> tuple[Tensor, list[Tensor]]:
        """The loss with these parameters and buffers, and the buffers that it moved."""
        buffers = [b.clone() for b in buffers]
        values = dict(zip(self._names, [*parameters, *buffers], strict=True))
        return functional_call(self, values, (ids, targets)), buffers
