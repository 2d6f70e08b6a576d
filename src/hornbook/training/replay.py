"""Small models: the operations of an update, recorded once and replayed without Python.

At the notes' sizes an update is some thirty small operations. Python and autograd, which finds out anew
each time what the gradient of each is, take longer over them than the operations themselves. But they
are the same in every update: they are recorded once, gradients and all, and run again to the same bits
in half the time (`recording.py`). A quarter of a second, where compiling takes a minute.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from hornbook.data.batches import Batches, WindowBatches
from hornbook.models.base import LanguageModel
from hornbook.recording import CANNOT, record
from hornbook.training.loss import Functional

SMALL = 1e8  # operations of an update below which starting them is what it costs


def is_small(model: LanguageModel, batches: Batches, precision: str) -> bool:
    """Whether an update is of few windows, draws nothing at random but its batch, and is on a CPU."""
    random = any(getattr(module, "p", 0.0) for module in model.modules())
    return (
        model.replayed
        and isinstance(batches, WindowBatches)
        and (precision, model.device.type, random) == ("fp32", "cpu", False)
        and 6 * model.n_parameters * batches.batch_size < SMALL
    )


class Replay:
    """`replay(ids, targets)` sets the gradients of a batch and gives its loss.

    None where the batch is not of the shape that was recorded, or the recording does not give what
    the model and autograd give, to the bit, for another batch than its own: then nothing is changed.
    """

    def __init__(self, model: LanguageModel, l2: float) -> None:
        self.model, self._loss = model, Functional(model, l2)
        self._parameters, self._buffers = list(model.parameters()), list(model.buffers())
        self._shape: torch.Size | None = None
        self._run: Callable[..., tuple[Tensor, ...]] | None = None

    @torch.no_grad()
    def __call__(self, ids: Tensor, targets: Tensor) -> Tensor | None:
        """See above."""
        if self._shape is None:
            self._shape, self._run = ids.shape, self._record(ids, targets)
        if self._run is None or ids.shape != self._shape:
            return None
        n = len(self._parameters)
        loss, *found = self._run(ids, targets, *self._parameters, *self._buffers)
        for parameter, gradient in zip(self._parameters, found, strict=False):
            parameter.grad = gradient
        if self._buffers:
            torch._foreach_copy_(self._buffers, found[n:])
        return loss

    def _figures(self, ids: Tensor, targets: Tensor, *values: Tensor) -> tuple[Tensor, ...]:
        """Loss, gradients and moved statistics, from the values of parameters and buffers."""
        n = len(self._parameters)
        parameters = [p.detach().requires_grad_() for p in values[:n]]
        loss, buffers = self._loss.figure(parameters, list(values[n:]), ids, targets)
        return (loss.detach(), *torch.autograd.grad(loss, parameters), *buffers)

    def _computed(self, ids: Tensor, targets: Tensor, values: list[Tensor]) -> tuple[Tensor, ...]:
        """The same by autograd."""
        n = len(self._parameters)
        parameters = [p.requires_grad_() for p in (v.clone() for v in values[:n])]
        loss, buffers = self._loss.figure(parameters, values[n:], ids, targets)
        loss.backward()  # type: ignore[no-untyped-call]
        return (loss, *(p.grad for p in parameters if p.grad is not None), *buffers)

    @torch.enable_grad()
    def _record(self, ids: Tensor, targets: Tensor) -> Callable[..., Any] | None:
        """The operations of this batch's update; None where they are not those of any other."""
        values = [t.detach().clone() for t in (*self._parameters, *self._buffers)]
        other = (ids + 1) % self.model.vocab_size, (targets + 1) % self.model.vocab_size
        try:
            run = record(self._figures, *other, *values)
            found = run(ids, targets, *values)
            expected = self._computed(ids, targets, values)
        except CANNOT:
            return None  # torch cannot record it: it is computed as any other
        same = all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
        return run if same else None
