"""One update: batch, loss, gradients, clipping, rate, optimizer. The same for every model."""

from __future__ import annotations

import torch
from torch import Tensor

from hornbook.config import RunConfig
from hornbook.data.batches import Batches
from hornbook.evaluate import batch_loss
from hornbook.models.base import LanguageModel
from hornbook.optim import build_optimizer, learning_rate
from hornbook.training.device import autocast


def penalty(model: LanguageModel, l2: float) -> Tensor | float:
    """l2 times the mean square of each matrix, summed (the notes' 0.01 * (W**2).mean())."""
    if not l2:
        return 0.0
    squares = [p.square().mean() for p in model.parameters() if p.ndim >= 2]
    return l2 * torch.stack(squares).sum()


class TrainStep:
    """Updates a model: `step(i)` gives the loss before update i and the norm of its gradient, as
    tensors, so that nothing waits for the device."""

    def __init__(
        self,
        model: LanguageModel,
        batches: Batches,
        config: RunConfig,
        precision: str,
    ) -> None:
        self.model, self.batches, self.config = model, batches, config
        self.precision = precision
        self.optimizer = build_optimizer(model, config.optim)
        self.parameters = [p for p in model.parameters() if p.requires_grad]

    def gradients(self, step: int, precision: str) -> Tensor:
        """Sets the gradients of update `step` and gives its loss."""
        ids, targets = self.batches.batch(step)
        self.optimizer.zero_grad(set_to_none=True)
        with autocast(ids.device, precision):
            loss = batch_loss(self.model, ids, targets)
        loss = loss + penalty(self.model, self.config.optim.l2)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def __call__(self, step: int) -> tuple[Tensor, Tensor]:
        """Update `step`: (loss, norm of the gradient before clipping), scalars."""
        loss = self.gradients(step, self.precision)
        clip = self.config.optim.grad_clip
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, clip or float("inf"))
        rate = self.learning_rate(step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group.get("scale", 1.0)
        self.optimizer.step()
        return loss, norm

    def learning_rate(self, step: int) -> float:
        """The learning rate of update `step`."""
        return learning_rate(self.config.optim, step, self.config.training.steps)
