"""Small models: the operations of an update, recorded once and replayed without Python.

At the notes' sizes an update is some thirty small operations. Python and autograd, which finds out anew
each time what the gradient of each is, take longer over them than the operations themselves. But they
are the same in every update: they are recorded once, gradients and all, and run again to the same bits
in half the time (`recording.py`): a quarter of a second. What was recorded can also be compiled, which
takes tens of seconds and pays back in a long run.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from hornbook.config import RunConfig
from hornbook.data.batches import Batches, WindowBatches
from hornbook.engine.loss import Functional
from hornbook.kernels.graph import TRACE_ERRORS, compile_trace, record, trace
from hornbook.models.base import LanguageModel

SMALL = 1e8  # operations of an update below which starting them is what it costs
ALONE = 2e7  # operations of a small update below which a second thread costs more than it does
SPAN = 8  # updates in one call, recorded or compiled
ALIGNED = 16  # numbers in 64 bytes
LONG = 20_000  # updates of a run from which recording so many of them pays back: it takes a second


def is_descent(config: RunConfig) -> bool:
    """Whether an update is p - rate * gradient and nothing else."""
    return (config.optim.name, config.optim.grad_clip, config.training.ema_decay) == (
        "sgd",
        0.0,
        0.0,
    )


def span_of(config: RunConfig) -> int:
    """How many updates of a small model are made in one recorded call, if they can be recorded."""
    return SPAN if is_descent(config) and config.training.steps >= LONG else 1


def is_small(model: LanguageModel, batches: Batches, precision: str) -> bool:
    """Whether an update is of few windows, draws nothing at random but its batch, and is on a CPU."""
    random = any(getattr(module, "p", 0.0) for module in model.modules())
    return (
        model.fixed_step_graph
        and isinstance(batches, WindowBatches)
        and (precision, model.device.type, random) == ("fp32", "cpu", False)
        and _operations(model, batches) < SMALL
    )


def is_smallest(model: LanguageModel, batches: Batches, precision: str) -> bool:
    """Whether a small update is made by one thread."""
    return is_small(model, batches, precision) and _operations(model, batches) < ALONE


def _operations(model: LanguageModel, batches: Batches) -> float:
    """Of an update of windows: two for each parameter and prediction, twice as many for gradients."""
    return 6 * model.n_parameters * batches.batch_size


Figures = Callable[..., tuple[Tensor, ...]]


class Recorded:
    """A function of a batch and other tensors, by operations that were recorded at its first call.

    None where the batch is not of the shape that was recorded, or the recording does not give what
    `expected` gives, to the bit, for another batch than its own; but for the first tensor.
    compiled: run as loops of C++, which may add in another order.
    """

    def __init__(
        self, function: Figures, expected: Figures, vocab_size: int, *, compiled: bool = False
    ) -> None:
        self._function, self._expected, self._vocab_size = function, expected, vocab_size
        self._compiled = compiled
        self._shape: torch.Size | None = None
        self._run: Figures | None = None

    def __call__(self, ids: Tensor, targets: Tensor, *values: Tensor) -> tuple[Tensor, ...] | None:
        """See above."""
        if self._shape is None:
            copies = [t.detach().clone() for t in values]
            self._shape, self._run = ids.shape, self._record(ids, targets, *copies)
        if self._run is None or ids.shape != self._shape:
            return None
        return self._run(ids, targets, *values)

    @torch.enable_grad()
    def _record(self, ids: Tensor, targets: Tensor, *values: Tensor) -> Figures | None:
        other = (ids + 1) % self._vocab_size, (targets + 1) % self._vocab_size
        run: Figures
        try:
            if self._compiled:
                graph = trace(self._function, *other, *values)
                found = graph(ids, targets, *values)  # exactly; its loops add in another order
                run = compile_trace(graph, *other, *values)
            else:
                run = record(self._function, *other, *values)
                found = run(ids, targets, *values)
            expected = self._expected(ids, targets, *values)
        except TRACE_ERRORS:
            return None  # torch cannot: it is computed as any other
        pairs = zip(found[1:], expected[1:], strict=True)
        same = all(torch.allclose(a, b, 0, 0, equal_nan=True) for a, b in pairs)
        return run if same and torch.allclose(found[0], expected[0], equal_nan=True) else None


class Replay:
    """Gradients of a batch, and several updates of plain gradient descent, as recorded.

    Both give None, and nothing is changed, where that cannot be done. compiled: the several run as
    loops of C++.
    """

    def __init__(self, model: LanguageModel, l2: float, *, compiled: bool = False) -> None:
        self._loss = Functional(model, l2)
        self._parameters, self._buffers = list(model.parameters()), list(model.buffers())
        self._one = Recorded(self._figures, self._figures, model.vocab_size)
        updates = self._one_by_one if compiled else self._updates  # the compiler joins what it can
        self._span = Recorded(updates, self._one_by_one, model.vocab_size, compiled=compiled)

    @torch.no_grad()
    def __call__(self, ids: Tensor, targets: Tensor) -> Tensor | None:
        """Sets the gradients of a batch and moves its statistics; its loss."""
        result = self._one(ids, targets, *self._parameters, *self._buffers)
        if result is None:
            return None
        n = len(self._parameters)
        loss, *found = result
        for parameter, gradient in zip(self._parameters, found, strict=False):
            parameter.grad = gradient
        if self._buffers:
            torch._foreach_copy_(self._buffers, found[n:])
        return loss

    @torch.no_grad()
    def several(self, ids: Tensor, targets: Tensor, rates: Tensor) -> Tensor | None:
        """Makes SPAN updates, ids (SPAN, B, T): their losses and norms of the gradient, (2, SPAN).

        Also None where one of those is no number.
        """
        own = [*self._parameters, *self._buffers]
        result = self._span(ids, targets, rates, *own)
        if result is None or not math.isfinite(result[0].sum()):
            return None
        figures, *new = result
        torch._foreach_copy_(own, new)
        return figures

    def _figures(self, ids: Tensor, targets: Tensor, *values: Tensor) -> tuple[Tensor, ...]:
        """Loss, gradients and moved statistics, from the values of parameters and buffers."""
        n = len(self._parameters)
        parameters = [p.detach().requires_grad_() for p in values[:n]]
        loss, buffers = self._loss.figure(parameters, list(values[n:]), ids, targets)
        return (loss.detach(), *torch.autograd.grad(loss, parameters), *buffers)

    def _one_by_one(
        self, ids: Tensor, targets: Tensor, rates: Tensor, *values: Tensor
    ) -> tuple[Tensor, ...]:
        """Losses and norms of SPAN updates, (2, SPAN), then parameters and buffers after the last."""
        n, figures = len(self._parameters), []
        for i in range(SPAN):
            loss, *found = self._figures(ids[i], targets[i], *values)
            figures += [loss, torch.linalg.vector_norm(torch.cat([g.flatten() for g in found[:n]]))]
            moved = [p - g * rates[i] for p, g in zip(values[:n], found[:n], strict=True)]
            values = (*moved, *found[n:])
        return (torch.stack(figures).view(SPAN, 2).T, *values)

    def _updates(
        self, ids: Tensor, targets: Tensor, rates: Tensor, *values: Tensor
    ) -> tuple[Tensor, ...]:
        """The same with the parameters in one piece: what is done to all of them is three operations.

        Each begins at a multiple of 64 bytes, as by itself: otherwise products with it are summed in
        another order.
        """
        n, figures, sizes = len(self._parameters), [], []
        for p in values[:n]:
            sizes += [p.numel(), -p.numel() % ALIGNED]
        gaps = [torch.zeros(size) for size in sizes[1::2]]

        def joined(tensors: Iterable[Tensor]) -> Tensor:
            pairs = zip(tensors, gaps, strict=True)
            return torch.cat([part for t, gap in pairs for part in (t.flatten(), gap)])

        def parts() -> list[Tensor]:
            pieces = torch.split(whole, sizes)[::2]
            return [x.view_as(p) for x, p in zip(pieces, self._parameters, strict=True)]

        whole, buffers = joined(values[:n]), values[n:]
        for i in range(SPAN):
            loss, *found = self._figures(ids[i], targets[i], *parts(), *buffers)
            gradient, buffers = joined(found[:n]), tuple(found[n:])
            figures += [loss, torch.linalg.vector_norm(gradient)]
            whole = whole - gradient * rates[i]
        return (torch.stack(figures).view(SPAN, 2).T, *parts(), *buffers)
