"""One update: batch, loss, gradients, clipping, rate, optimizer. The same for every model."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from hornbook.config import RunConfig
from hornbook.data.batches import Batches
from hornbook.engine.compiled import Form, compiled_loss
from hornbook.engine.device import autocast
from hornbook.engine.loss import penalty
from hornbook.engine.replay import SPAN, Replay, is_small, is_smallest, span_of
from hornbook.errors import RunError
from hornbook.kernels import install, uninstall
from hornbook.metrics.loss import batch_loss
from hornbook.models.base import LanguageModel
from hornbook.optim import build_optimizer, learning_rate


class NotFiniteError(RunError):
    """The loss of an update, or its gradient, is no number: the update was not made."""

    def __init__(self, loss: float, norm: float) -> None:
        super().__init__(f"loss {loss}, norm of the gradient {norm}")
        self.loss, self.norm = loss, norm


def clip(parameters: Sequence[Tensor], limit: float) -> Tensor:
    """Scales the gradients down to a norm of `limit` (0: leaves them); their norm before, a scalar."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    norm: Tensor = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
    if limit:
        torch._foreach_mul_(gradients, (limit / (norm + 1e-6)).clamp(max=1.0))
    return norm


class TrainStep:
    """Updates a model: `step(i)` gives the loss before update i and the norm of its gradient, as
    tensors, so that nothing waits for the device.

    span: `several(i)` makes so many updates at once; 1 where they are made one by one.
    averaged: the exponential average of the parameters, where the settings ask for one.
    """

    def __init__(
        self,
        model: LanguageModel,
        batches: Batches,
        config: RunConfig,
        precision: str,
        compiled: Form = "no",
    ) -> None:
        self.model, self.batches, self.config = model, batches, config
        self.precision = precision
        self.optimizer = build_optimizer(model, config.optim, model.output)
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        (uninstall if config.training.reference or compiled == "loss" else install)(model)
        device = self.parameters[0].device
        self._loss = compiled_loss(device) if compiled == "loss" else batch_loss
        self.averaged = [p.detach().clone() for p in self.parameters if config.training.ema_decay]
        small = not config.training.reference and is_small(model, batches, precision)
        self._alone = not config.training.reference and is_smallest(model, batches, precision)
        together = compiled == "updates"
        self._replay = Replay(model, config.optim.l2, compiled=together) if small else None
        self._together: Callable[..., Tensor | None] | None = None
        if self._replay and (together or span_of(config) > 1):
            self._together = self._replay.several
        self.span = 1 if self._together is None else SPAN

    def gradients(self, step: int, precision: str, *, watched: bool = False) -> Tensor:
        """Sets the gradients of update `step` and gives its loss."""
        with self._threads(precision):
            return self._gradients(step, precision, watched)

    def _gradients(self, step: int, precision: str, watched: bool) -> Tensor:
        ids, targets = self.batches.batch(step)
        if self._replay is not None and precision == "fp32" and not watched:
            loss = self._replay(ids, targets)
            if loss is not None:
                return loss
        for parameter in self.parameters:
            parameter.grad = None
        with autocast(ids.device, precision):
            loss = self._loss(self.model, ids, targets)
        if self.config.optim.l2:
            loss = loss + penalty(self.model, self.config.optim.l2)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach().clone()

    def __call__(self, step: int, *, watched: bool = False) -> tuple[Tensor, Tensor]:
        """Update `step`: (loss, norm of the gradient before clipping), scalars.

        watched: hooks are to see the model compute. Raises NotFiniteError, on a CPU, where one of
        them is no number.
        """
        with self._threads(self.precision):
            return self._update(step, watched)

    def _update(self, step: int, watched: bool) -> tuple[Tensor, Tensor]:
        loss = self.gradients(step, self.precision, watched=watched)
        limit = self.config.optim.grad_clip
        if self.config.training.reference:
            norm = torch.nn.utils.clip_grad_norm_(self.parameters, limit or float("inf"))
        else:
            norm = clip(self.parameters, limit)
        if loss.device.type == "cpu" and not (math.isfinite(loss) and math.isfinite(norm)):
            raise NotFiniteError(loss.item(), norm.item())  # on a GPU asking would wait for it
        rate = self.learning_rate(step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group.get("scale", 1.0)
        self.optimizer.step()
        self._average(step)
        return loss, norm

    def several(self, step: int) -> list[tuple[Tensor, Tensor]] | None:
        """Updates `step` to `step + span`, each as a call would give it.

        None, and nothing is updated, where a loss is no number: one by one it is found which.
        """
        if self._together is None:
            return [self(step)]
        ids, targets = self.batches.several(step, self.span)
        rates = torch.tensor([self.learning_rate(step + i) for i in range(self.span)])
        with self._threads(self.precision):
            figures = self._together(ids, targets, rates)
        return figures if figures is None else list(zip(*figures.unbind(), strict=True))

    @contextmanager
    def _threads(self, precision: str) -> Iterator[None]:
        """One for the smallest updates, in fp32: two would wait for each other at every product.

        Not beside other threads of Python, which would take the number over for good.
        """
        before = torch.get_num_threads()
        alone = self._alone and precision == "fp32"
        if not alone or before == 1 or threading.active_count() > 1:
            yield
            return
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(before)

    def _average(self, step: int) -> None:
        """Moves the averages towards the parameters; early ones are forgotten sooner."""
        if self.averaged:
            memory = min(self.config.training.ema_decay, (step + 1) / (step + 10))
            with torch.no_grad():
                torch._foreach_lerp_(self.averaged, list[Tensor](self.parameters), 1 - memory)

    @contextmanager
    def at_average(self) -> Iterator[None]:
        """The model with its averaged parameters, where there are any, and back."""
        before = [p.detach().clone() for p in self.parameters if self.averaged]
        with torch.no_grad():
            for parameter, average in zip(self.parameters, self.averaged, strict=False):
                parameter.copy_(average)
        try:
            yield
        finally:
            with torch.no_grad():
                for parameter, own in zip(self.parameters, before, strict=False):
                    parameter.copy_(own)

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
        tensors |= {f"ema.{i}": t for i, t in enumerate(self.averaged)}
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
        self.averaged = [tensors[f"ema.{i}"].clone() for i in range(len(self.averaged))]
