"""How much memory training takes: estimated, and refused where it is not there, before it starts.

Parameters, gradients and the optimizer's state are counted; what is kept for the backward pass is
measured on batches of two and three rows, and grows with the batch from there. How near it comes is in
docs/reliability.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from hornbook.config import OptimConfig
from hornbook.errors import ConfigError
from hornbook.machine import available_memory, format_bytes
from hornbook.metrics.loss import BATCH_TOKENS
from hornbook.models.base import LanguageModel
from hornbook.planning import tuning


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes of training: weights with gradients and optimizer state, activations, scoring.

    activations: what is kept for the backward pass; up to BACKWARD_OVERHEAD times that is taken.
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
        return self.weights + max(round(tuning.BACKWARD_OVERHEAD * self.activations), self.scoring)


def available_bytes(device: torch.device) -> int | None:
    """Bytes that can still be had on a device; None if unknown."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return available_memory()


def check_weights_fit(
    model: LanguageModel, name: str, optim: OptimConfig, available: int | None
) -> None:
    """Raises ConfigError where the weights alone do not fit. The model may be on the device `meta`."""
    needed = weights_bytes(model, optim)
    if available is not None and needed > available:
        raise ConfigError(
            f"memory: weights, gradients and the optimizer need {format_bytes(needed)}, found "
            f"{format_bytes(available)} available; make the model smaller "
            f"(`hornbook models {name}`)"
        )


def weights_bytes(model: LanguageModel, optim: OptimConfig) -> int:
    """Bytes of weights, their gradients and the optimizer's state."""
    weights = sum(int(t.nbytes) for t in model.state_dict().values())
    trained: int = 4 * sum(p.numel() for p in model.parameters() if p.requires_grad)
    return weights + trained * (1 + tuning.OPTIMIZER_NUMBERS[optim.name])


def estimate_memory(
    weights: int, kept: tuple[int, int], batch_size: int, vocab_size: int
) -> MemoryEstimate:
    """The estimate from what batches of two and of three rows keep for their backward pass."""
    each = max(0, kept[1] - kept[0])
    return MemoryEstimate(
        weights=weights,
        activations=kept[0] + each * (batch_size - 2),
        scoring=tuning.SCORING_COPIES * 4 * BATCH_TOKENS * vocab_size,
    )


def check_memory(
    needed: MemoryEstimate, available: int | None, *, batch_size: int, model: str
) -> str:
    """The estimate and what is available, in words. Raises ConfigError where it does not fit."""
    words = f"about {format_bytes(needed.total)}"
    if available is None:
        return words
    words += f" of {format_bytes(available)} available"
    if needed.total <= available:
        return words
    advice = _advice(needed, available, batch_size, model)
    if needed.least <= available:
        return f"{words}: it may run out; to be safe, {advice}"
    parts = (
        f"weights with optimizer {format_bytes(needed.weights)}, activations of a step "
        f"{format_bytes(needed.activations)}, scoring {format_bytes(needed.scoring)}"
    )
    raise ConfigError(
        f"memory: training needs at least {format_bytes(needed.least)} ({parts}), found "
        f"{format_bytes(available)} available; {advice}"
    )


def _advice(needed: MemoryEstimate, available: int, batch_size: int, model: str) -> str:
    """What to lower, and to what where that is known."""
    if needed.scoring > needed.activations:
        return "use a tokenizer with fewer tokens"
    left = available - needed.weights
    fits = int(batch_size * left / max(1, tuning.BACKWARD_OVERHEAD * needed.activations))
    if batch_size > 1 and fits >= 1:
        return f"lower the batch: --training.batch-size {fits} (now {batch_size})"
    return (
        f"lower --training.batch-size (now {batch_size}), --model.context-length or the sizes of "
        f"the model (`hornbook models {model}`)"
    )
