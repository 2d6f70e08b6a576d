"""What torch's compiler makes of a training step, where it is worth its time.

On a GPU the loss of a batch is compiled; of sharded weights each block of the model, which is gathered
as a whole. On a CPU compiling the loss gains too little, but the steps of
the notes' small models are some thirty small operations each, and starting those takes longer than
they do: several steps of plain gradient descent become a few loops of C++ that run in one call.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from hornbook.config import RunConfig
from hornbook.data.batches import Batches, WindowBatches
from hornbook.engine.loss import FunctionalLoss
from hornbook.kernels.graph import TRACE_ERRORS, compile_trace, trace
from hornbook.kernels.install import uninstall
from hornbook.kernels.tuning import SMALL_STEP
from hornbook.metrics.loss import batch_loss
from hornbook.models.base import LanguageModel, blocks_of

Form = Literal["no", "loss", "blocks", "steps"]


def has_compiler(device: torch.device) -> bool:
    """Whether torch.compile can work here: a C++ compiler, on a GPU Triton."""
    if device.type == "cuda":
        return importlib.util.find_spec("triton") is not None
    return any(shutil.which(name) for name in (os.environ.get("CXX") or "g++", "clang++", "cl"))


def can_compile_steps(model: LanguageModel, batches: Batches, config: RunConfig) -> bool:
    """Whether several steps can be one call: small, of windows, on a CPU, plain gradient descent, and
    nothing random in them but the batch."""
    optim, ema_decay = config.optim, config.training.ema_decay
    plain_descent = (optim.name, optim.grad_clip, ema_decay) == ("sgd", 0.0, 0.0)
    random = any(getattr(module, "p", 0.0) for module in model.modules())
    operations = 6 * model.n_parameters * batches.batch_size  # 2 forward, 4 backward
    return (
        plain_descent
        and model.fixed_step
        and isinstance(batches, WindowBatches)
        and (model.device.type, random) == ("cpu", False)
        and operations < SMALL_STEP
    )


def compiled_loss(device: torch.device) -> Callable[..., Tensor]:
    """`batch_loss` compiled; on a GPU its kernels and those of its gradients are started as one (CUDA
    graphs), and what a call returns is overwritten by the next."""
    mode = "reduce-overhead" if device.type == "cuda" else None
    compiled: Callable[..., Tensor] = torch.compile(batch_loss, dynamic=False, mode=mode)
    return compiled


def compile_blocks(model: LanguageModel) -> None:
    """Compiles the forward pass of each block of a model; what gathers the weights of a block stays
    outside. For training alone: a copy of the model would compute with the blocks of this one."""
    uninstall(model)  # the compiler fuses the textbook; it cannot trace the kernels
    for block in blocks_of(model):
        block.forward = torch.compile(block.forward, dynamic=False)


class CompiledSteps:
    """SPAN steps of gradient descent in one call, equal to single steps but for rounding."""

    def __init__(self, model: LanguageModel, l2: float) -> None:
        self._loss = FunctionalLoss(model, l2)
        self._vocab_size = model.vocab_size
        self._values = [*model.parameters(), *model.buffers()]
        self._n_parameters = len(list(model.parameters()))
        self._run: Callable[..., tuple[Tensor, ...]] | None = None
        self._shape: torch.Size | None = None  # of the ids that it was compiled for

    @torch.no_grad()
    def __call__(self, ids: Tensor, targets: Tensor, rates: Tensor) -> Tensor | None:
        """Updates the model by ids (SPAN, B, T), targets (SPAN, B) and learning rates (SPAN,).

        Returns losses and gradient norms, (2, SPAN). None, and nothing is changed, where it cannot
        be compiled, the shapes are others than at the first call, or a loss is not finite.
        """
        if self._shape is None:
            self._shape, self._run = ids.shape, self._compile(ids, targets, rates)
        if self._run is None or ids.shape != self._shape:
            return None
        losses_and_norms, *new = self._run(ids, targets, rates, *self._values)
        if not bool(losses_and_norms.isfinite().all()):
            return None
        torch._foreach_copy_(self._values, new)
        return losses_and_norms

    def _compile(
        self, ids: Tensor, targets: Tensor, rates: Tensor
    ) -> Callable[..., tuple[Tensor, ...]] | None:
        """The compiled steps; None where the graph does not compute what the steps do."""
        values = [v.detach().clone() for v in self._values]
        traced_ids, traced_targets = (ids + 1) % self._vocab_size, (targets + 1) % self._vocab_size
        try:
            with torch.enable_grad():
                graph = trace(self._steps, traced_ids, traced_targets, rates, *values)
                expected = self._steps(ids, targets, rates, *values)
            found = graph(ids, targets, rates, *values)  # of another batch than it was traced with
            if not all(torch.equal(a, b) for a, b in zip(found, expected, strict=True)):
                return None
            return compile_trace(graph, traced_ids, traced_targets, rates, *values)
        except TRACE_ERRORS:
            return None

    def _steps(
        self, ids: Tensor, targets: Tensor, rates: Tensor, *values: Tensor
    ) -> tuple[Tensor, ...]:
        """Losses and norms, (2, SPAN), then parameters and buffers after the last step."""
        n, figures = self._n_parameters, []
        for i in range(len(ids)):
            parameters = [p.detach().requires_grad_() for p in values[:n]]
            loss, buffers = self._loss.with_values(parameters, list(values[n:]), ids[i], targets[i])
            gradients = torch.autograd.grad(loss, parameters)
            norm = torch.linalg.vector_norm(torch.cat([g.flatten() for g in gradients]))
            figures += [loss.detach(), norm]
            updated = [p - g * rates[i] for p, g in zip(values[:n], gradients, strict=True)]
            values = (*updated, *buffers)
        return (torch.stack(figures).view(-1, 2).T, *(v.detach() for v in values))
