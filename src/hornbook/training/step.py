"""One update: batch, loss, gradients, clipping, rate, optimizer. The same for every model."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from hornbook.config import RunConfig
from hornbook.data.batches import Batches
from hornbook.errors import RunError
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


class NotFiniteError(RunError):
    """The loss of an update, or its gradient, is no number: the update was not made."""

    def __init__(self, loss: float, norm: float) -> None:
        super().__init__(f"loss {loss}, norm of the gradient {norm}")
        self.loss, self.norm = loss, norm


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
        self.optimizer = build_optimizer(model, config.optim, model.output)
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
        """Update `step`: (loss, norm of the gradient before clipping), scalars.

        Raises NotFiniteError, on a CPU, where one of them is no number.
        """
        loss = self.gradients(step, self.precision)
        clip = self.config.optim.grad_clip
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, clip or float("inf"))
        if loss.device.type == "cpu" and not (math.isfinite(loss) and math.isfinite(norm)):
            raise NotFiniteError(loss.item(), norm.item())  # on a GPU asking would wait for it
        rate = self.learning_rate(step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group.get("scale", 1.0)
        self.optimizer.step()
        return loss, norm

    def learning_rate(self, step: int) -> float:
        """The learning rate of update `step`."""
        return learning_rate(self.config.optim, step, self.config.training.steps)

    def state_tensors(self) -> dict[str, Tensor]:
        """All that an update depends on and changes, besides generators: `last/` keeps it."""
        tensors = {f"model.{name}": t for name, t in self.model.state_dict().items()}
        for index, state in self.optimizer.state_dict()["state"].items():
            for name, value in state.items():
                if value is not None:
                    tensors[f"optim.{index}.{name}"] = torch.as_tensor(value)
        return tensors

    def check_state_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Raises RunError unless names, shapes and dtypes are those of `state_tensors`.

        Looks at no values. The state of the optimizer is overwritten: it is to be loaded next.
        """
        updated = {name.split(".")[1] for name in tensors if name.startswith("optim.")}
        if updated:  # by gradients of zero at a rate of zero, it lays out what it keeps
            for parameter in self.parameters:
                parameter.grad = torch.zeros_like(parameter)
            for group in self.optimizer.param_groups:
                group["lr"] = 0.0
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
        own = self.state_tensors()
        for name in own.keys() - tensors.keys():
            if not name.startswith("optim.") or name.split(".")[1] in updated:
                raise RunError(f"found no {name}, expected one")
        for name, tensor in tensors.items():
            if name not in own:
                raise RunError(f"found {name}, which this run has not")
            if tensor.shape != own[name].shape or tensor.dtype != own[name].dtype:
                raise RunError(
                    f"{name}: found {tuple(tensor.shape)} {tensor.dtype}, expected "
                    f"{tuple(own[name].shape)} {own[name].dtype}"
                )

    def load_state_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Takes over what `state_tensors` gave."""
        self.model.load_weights({n[6:]: t for n, t in tensors.items() if n.startswith("model.")})
        states: dict[int, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            if name.startswith("optim."):
                _, index, key = name.split(".", 2)
                states.setdefault(int(index), {})[key] = tensor
        whole = self.optimizer.state_dict()
        self.optimizer.load_state_dict({**whole, "state": states})
