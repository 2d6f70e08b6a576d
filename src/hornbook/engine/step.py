"""One optimizer step: batch, loss, gradients, clipping, learning rate, update; for every model."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from hornbook.config import RunConfig
from hornbook.data.batches import IGNORE, Batches
from hornbook.engine.compiled import CompiledSteps, Form, compile_blocks, compiled_loss
from hornbook.engine.device import autocast
from hornbook.engine.loss import FunctionalLoss, add_l2_gradients, l2_penalty
from hornbook.errors import RunError
from hornbook.kernels.install import uninstall
from hornbook.kernels.tuning import SPAN
from hornbook.metrics.loss import batch_loss
from hornbook.models.base import LanguageModel
from hornbook.optim import build_optimizer
from hornbook.optim.muon import Muon
from hornbook.optim.schedules import Schedule
from hornbook.parallel.ranks import SINGLE, Ranks
from hornbook.parallel.replicated import Replicated, step_seed
from hornbook.parallel.shards import full, replicas_of

if TYPE_CHECKING:
    from hornbook.parallel.sharded import Sharded


Parallel = Literal["ddp", "fsdp"]


class NotFiniteError(RunError):
    """The loss of a step, or its gradient, is NaN or infinite. step: counted from 0."""

    def __init__(self, step: int, loss: float, norm: float) -> None:
        super().__init__(f"step {step + 1}: loss {loss}, gradient norm {norm}")
        self.step, self.loss, self.norm = step, loss, norm


class OptimizerStep:
    """Updates a model: `step(i)` returns the loss before step i and the norm of its gradient, as
    tensors, so that nothing waits for the device.

    learning_rate: of each step; by default as the settings plan it.
    span: how many steps `advance` may make in one call.
    ahead: of how many steps the model prepares the batches at once.
    averaged: the exponential moving average of the parameters, where the settings ask for one.
    ranks: the processes that make the step together, each with its share of the batch. parallel:
    whether each of them has all weights (ddp) or a part of them (fsdp). rows: the part of this one,
    where the model has no values.
    sharded: of many ranks, what gathers the weights of which each has a part.
    """

    sharded: Sharded | None = None

    def __init__(
        self,
        model: LanguageModel,
        batches: Batches,
        config: RunConfig,
        precision: str = "fp32",
        compiled: Form = "no",
        learning_rate: Callable[[int], float] | None = None,
        ranks: Ranks = SINGLE,
        parallel: Parallel = "ddp",
        rows: Mapping[str, Tensor] | None = None,
    ) -> None:
        self.model, self.batches, self.config = model, batches, config
        self.precision, self.ranks = precision, ranks
        self._loss: Callable[..., Tensor] = batch_loss
        self._weights: Replicated | Sharded | None = None
        muon = Muon
        if ranks.many and parallel == "fsdp":
            from hornbook.parallel.sharded import Sharded
            from hornbook.parallel.spread_muon import SpreadMuon

            muon = SpreadMuon
            root = FunctionalLoss(model)
            replicas = replicas_of(config.training.replicas, ranks.world_size)
            self.sharded = Sharded(ranks, model, root, replicas, rows)
            self._weights, self._loss = self.sharded, lambda _, *batch: root(*batch)
        elif ranks.many:
            self._weights = Replicated(ranks, model)
        planned = Schedule.planned(config.optim, config.training.steps)
        self.learning_rate = learning_rate or planned.rate
        self.optimizer = build_optimizer(model, config.optim, model.output, muon)
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.averaged = [p.detach().clone() for p in self.parameters if config.training.ema_decay]
        if compiled == "loss":
            uninstall(model)  # the compiler fuses the textbook; it cannot trace the kernels
            self._loss = compiled_loss(model.device)
        elif compiled == "blocks":
            compile_blocks(model)
        self._compiled = CompiledSteps(model, config.optim.l2) if compiled == "steps" else None
        self.span = SPAN if self._compiled else 1
        begin, end = batches.share
        together = ranks.many or config.training.micro_batch is not None
        self.ahead = 1 if together else model.steps_ahead((end - begin) * batches.length)
        self._prepared: list[tuple[Tensor, Tensor]] = []  # the batches from _first_prepared on
        self._first_prepared = -1

    def __call__(self, step: int) -> tuple[Tensor, Tensor]:
        """Makes a step, counted from 0: (loss, gradient norm before clipping), scalars.

        Raises NotFiniteError on a CPU where one of them is not finite, before anything is updated; on
        a GPU asking would wait for it.
        """
        loss = self.gradients(step)
        norm = self._clip()
        if loss.device.type == "cpu" and not (math.isfinite(loss) and math.isfinite(norm)):
            raise NotFiniteError(step, loss.item(), norm.item())
        rate = self.learning_rate(step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group.get("scale", 1.0)
        self.optimizer.step()
        self._average(step)
        return loss, norm

    def advance(self, step: int, until: int) -> list[tuple[Tensor, Tensor]]:
        """Makes one step, or `span` of them where they end at `until` or before: what each returns."""
        if self._compiled and step % self.span == 0 and step + self.span <= until:
            ids, targets = self.batches.several(step, self.span)
            rates = torch.tensor(
                [self.learning_rate(step + i) for i in range(self.span)],
                dtype=torch.float32,
                device=ids.device,
            )
            figures = self._compiled(ids, targets, rates)
            if figures is not None:  # otherwise one by one, which finds the step that is not finite
                return list(zip(*figures.unbind(), strict=True))
        return [self(step)]

    def prepare(self, step: int) -> tuple[Tensor, Tensor]:
        """The batch of a step, after the model has prepared the `ahead` batches of which it is one:
        always the same ones, so that a resumed run computes the same bits."""
        if self.ahead == 1:
            return self.batches.batch(step)
        first = step - step % self.ahead
        if self._first_prepared != first:
            ids, targets = self.batches.several(first, self.ahead)
            self.model.prepare(ids.flatten(0, 1), targets.flatten(0, 1))
            self._first_prepared, self._prepared = first, list(zip(ids, targets, strict=True))
        return self._prepared[step - first]

    def gradients(self, step: int) -> Tensor:
        """Sets the gradients of a step and returns its loss; both are of the batch of all ranks."""
        ids, targets = self.prepare(step)
        for parameter in self.parameters:
            parameter.grad = None
        at_once = self.config.training.micro_batch or self.batches.batch_size
        parts = torch.split(ids, at_once), torch.split(targets, at_once)
        pieces = list(zip(*parts, strict=True))
        if self.sharded is not None:  # all ranks gather and send as often as the one with most rows
            most = -(-self.batches.batch_size // self.ranks.world_size)
            nothing = ids[:1], torch.full_like(targets[:1], IGNORE)
            pieces += [nothing] * (-(-most // at_once) - len(pieces))
        total = None  # scored targets of the whole batch; None: there is one piece, and one rank
        if self.ranks.many:
            torch.manual_seed(step_seed(self.config.training.seed, step, self.ranks.rank))
        if self.ranks.many or len(pieces) > 1:
            total = self.ranks.sum((targets != IGNORE).sum())
        losses = torch.zeros((), dtype=torch.float32, device=ids.device)
        for i, piece in enumerate(pieces):
            with autocast(ids.device, self.precision):
                loss = self._loss(self.model, *piece, total)
            if self.config.optim.l2 and i == 0 and self.sharded is None:
                penalty = l2_penalty(self.model, self.config.optim.l2)
                loss = loss + penalty / self.ranks.world_size
            losses = losses + loss.detach() if len(pieces) > 1 else loss.detach().clone()
            if self._weights and i == len(pieces) - 1:
                self._weights.begin(losses)
            loss.backward()  # type: ignore[no-untyped-call]
        if self._weights:
            self._weights.finish()
        if self.config.optim.l2 and self.sharded is not None:
            losses += add_l2_gradients(self.parameters, self.config.optim.l2)
        return losses

    def _clip(self) -> Tensor:
        limit = self.config.optim.grad_clip
        if limit:
            return full(torch.nn.utils.clip_grad_norm_(self.parameters, limit))
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        return full(torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients))))

    def _average(self, step: int) -> None:
        """Moves the averages towards the parameters; early ones are forgotten sooner."""
        if self.averaged:
            decay = min(self.config.training.ema_decay, (step + 1) / (step + 10))
            with torch.no_grad():
                average = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
                average(self.averaged, list[Tensor](self.parameters), step)

    @contextmanager
    def whole(self) -> Iterator[LanguageModel]:
        """The model with all its weights; of sharded ones a copy that is there meanwhile. All ranks
        call this."""
        if self.sharded is None:
            yield self.model
        else:
            with self.sharded.gathered() as model:
                yield model

    @contextmanager
    def ema_weights(self) -> Iterator[LanguageModel]:
        """The whole model with its averaged parameters, where there are any, and back."""
        if self.sharded is not None:
            with self.sharded.gathered(self.averaged or None) as model:
                yield model
            return
        before = [p.detach().clone() for p in self.parameters if self.averaged]
        with torch.no_grad():
            for parameter, average in zip(self.parameters, self.averaged, strict=False):
                parameter.copy_(average)
        try:
            yield self.model
        finally:
            with torch.no_grad():
                for parameter, own in zip(self.parameters, before, strict=False):
                    parameter.copy_(own)

    def state_tensors(self) -> dict[str, Tensor]:
        """All that a step depends on and changes, besides generators."""
        tensors = {f"model.{name}": t for name, t in self.model.state_dict().items()}
        for index, state in self.optimizer.state_dict()["state"].items():
            for name, value in state.items():
                if value is not None:
                    tensors[f"optim.{index}.{name}"] = torch.as_tensor(value)
        tensors |= {f"ema.{i}": t for i, t in enumerate(self.averaged)}
        return tensors

    def like(self, name: str) -> Tensor | None:
        """The tensor that one of `state_tensors` is laid out as over the ranks: itself, or the
        parameter that it belongs to. None for a single number, and for what is not of the step."""
        kind, _, rest = name.partition(".")
        found: Tensor | None = None
        with suppress(AttributeError, LookupError, ValueError):
            if kind == "model":
                found = self.model.get_parameter(rest).detach()
            elif kind == "ema":
                found = self.averaged[int(rest)]
            elif kind == "optim" and not rest.endswith(".step"):
                groups = self.optimizer.param_groups
                every = [p for group in groups for p in group["params"]]
                found = every[int(rest.partition(".")[0])].detach()
        return found

    def check_state_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Raises RunError unless names, shapes and dtypes are those of `state_tensors`.

        Reads no values. The state of the optimizer is given up: it is to be loaded next.
        """
        updated = {name.split(".")[1] for name in tensors if name.startswith("optim.")}
        if updated:  # zero gradients at a learning rate of 0 make the optimizer lay out its state
            for parameter in self.parameters:
                parameter.grad = torch.zeros_like(parameter)
            for group in self.optimizer.param_groups:
                group["lr"] = 0.0
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
        own = {
            name: torch.empty(tensor.shape, dtype=tensor.dtype, device="meta")
            for name, tensor in self.state_tensors().items()
        }
        self.optimizer.state.clear()  # else it would be in memory twice
        for name in own.keys() - tensors.keys():
            if not name.startswith("optim.") or name.split(".")[1] in updated:
                raise RunError(f"found no {name}, expected one")
        for name, tensor in tensors.items():
            if name not in own:
                raise RunError(f"found {name}, which this run does not have")
            if tensor.shape != own[name].shape or tensor.dtype != own[name].dtype:
                raise RunError(
                    f"{name}: found {tuple(tensor.shape)} {tensor.dtype}, expected "
                    f"{tuple(own[name].shape)} {own[name].dtype}"
                )

    def load_state_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Takes over what `state_tensors` returned."""
        self.model.load_weights({n[6:]: t for n, t in tensors.items() if n.startswith("model.")})
        states: dict[int, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            if name.startswith("optim."):
                _, index, key = name.split(".", 2)
                states.setdefault(int(index), {})[key] = tensor
        whole = self.optimizer.state_dict()
        self.optimizer.load_state_dict({**whole, "state": states})
        self.averaged = [tensors[f"ema.{i}"].clone() for i in range(len(self.averaged))]
