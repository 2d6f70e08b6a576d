"""How much memory training is going to take, told and checked before it starts.

Parameters, gradients and the optimizer's memories are counted; what is kept for the backward pass is
measured, on batches of two and three rows, and grows with the batch from there. How near it comes is
in docs/reliability.md.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from hornbook.config import ModelConfig, OptimConfig
from hornbook.errors import ConfigError
from hornbook.machine import available_memory, size
from hornbook.metrics.loss import BATCH_TOKENS, batch_loss
from hornbook.models.base import LanguageModel
from hornbook.models.registry import build_on_meta

if TYPE_CHECKING:
    from hornbook.planning.plan import Plan

MEMORIES = {"adamw": 3, "muon": 3, "sgd": 1}  # numbers for each parameter, one while it updates
OVERHEAD = 2.0  # at most, of what is kept: temporaries of the backward pass, the allocator
EVALUATED = 4  # copies of the logits while a part is scored


@dataclass(frozen=True)
class Estimate:
    """Bytes of training: weights with gradients and memories, an update's activations, scoring.

    activations: what is kept for the backward pass; up to OVERHEAD times that is taken.
    """

    weights: int
    activations: int
    scoring: int

    @property
    def least(self) -> int:
        """What it takes in any case."""
        return self.weights + max(self.activations, self.scoring)

    @property
    def total(self) -> int:
        """The peak, cautiously."""
        return self.weights + max(round(OVERHEAD * self.activations), self.scoring)


def room(device: torch.device) -> int | None:
    """Bytes that can still be had on a device; None if unknown."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return available_memory()


def refuse_too_large(
    config: ModelConfig,
    optim: OptimConfig,
    vocab_size: int,
    end_id: int | None,
    device: torch.device,
) -> None:
    """Raises ConfigError where the weights alone do not fit, before memory is taken for them."""
    needed, there = _of_weights(build_on_meta(config, vocab_size, end_id), optim), room(device)
    if there is not None and needed > there:
        raise ConfigError(
            f"memory: weights, gradients and the optimizer need {size(needed)}, found "
            f"{size(there)} available; make the model smaller (`hornbook models {config.name}`)"
        )


def estimate(plan: Plan) -> Estimate:
    """What training by a plan takes. The generators are left as they were."""
    model, rows = plan.model, plan.batches.batch_size
    kept = [_kept(plan, n) for n in (2, 3)]  # one example has no variance for a BatchNorm
    each = max(0, kept[1] - kept[0])
    activations = kept[0] + each * (rows - 2)
    return Estimate(
        weights=_of_weights(model, plan.config.optim),
        activations=activations,
        scoring=EVALUATED * 4 * BATCH_TOKENS * model.vocab_size,
    )


def check_memory(plan: Plan) -> str:
    """The estimate and what is available, in words. Raises ConfigError where it does not fit."""
    if plan.model.fitted:
        return ""
    needed, there = estimate(plan), room(plan.device)
    told = f"about {size(needed.total)}"
    if there is None:
        return told
    told += f" of {size(there)} available"
    if needed.total <= there:
        return told
    if needed.least <= there:
        return f"{told}: it may run out; to be safe, {remedy(plan, needed, there)}"
    parts = (
        f"weights with optimizer {size(needed.weights)}, activations of an update "
        f"{size(needed.activations)}, scoring {size(needed.scoring)}"
    )
    raise ConfigError(
        f"memory: training needs at least {size(needed.least)} ({parts}), found {size(there)} "
        "available; " + remedy(plan, needed, there)
    )


def remedy(plan: Plan, needed: Estimate, there: int) -> str:
    """What to lower, and to what where that is known."""
    rows, left = plan.batches.batch_size, there - needed.weights
    if needed.scoring > needed.activations:
        return "use a tokenizer with fewer ids"
    fits = int(rows * left / max(1, OVERHEAD * needed.activations))
    if rows > 1 and fits >= 1:
        return f"lower the batch: --training.batch-size {fits} (now {rows})"
    return (
        f"lower --training.batch-size (now {rows}), --model.context-length or the sizes of the "
        f"model (`hornbook models {plan.config.model.name}`)"
    )


def weights_bytes(plan: Plan) -> int:
    """Bytes of a plan's weights, their gradients and the optimizer's memories."""
    return _of_weights(plan.model, plan.config.optim)


def _of_weights(model: LanguageModel, optim: OptimConfig) -> int:
    weights = sum(int(t.nbytes) for t in model.state_dict().values())
    trained: int = 4 * sum(p.numel() for p in model.parameters() if p.requires_grad)
    return weights + trained * (1 + MEMORIES[optim.name])


def _kept(plan: Plan, rows: int) -> int:
    """Bytes that a batch of so many rows keeps for its backward pass."""
    from hornbook.engine.device import autocast, generators_kept

    own = {p.data_ptr() for p in plan.model.parameters()}
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Any:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(plan.model.vocab_size, (rows, plan.length), generator=generator)
    targets = ids if plan.examples == "sequences" else ids[:, -1]
    with generators_kept(plan.device):
        model = copy.deepcopy(plan.model).train()  # statistics of the batch are not to be kept
        own |= {p.data_ptr() for p in model.parameters()}
        with (
            autocast(plan.device, plan.precision),
            torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor),
        ):
            batch_loss(model, ids.to(plan.device), targets.to(plan.device))
    return sum(kept.values())
