"""What can go wrong in the middle of training, in words: losses that are no numbers, no memory left."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from hornbook.config import OptimConfig
from hornbook.models.base import LanguageModel

RISEN = 0.5  # nats above the lowest by which a loss is said to have risen


def why_not_finite(
    model: LanguageModel,
    loss: float,
    norm: float,
    before: Sequence[float],
    rate: float,
    optim: OptimConfig,
) -> tuple[str, str]:
    """The likely cause of a loss or gradient that is no number, and the flags that mend it.

    before: the losses so far. rate: the learning rate of that update; what is to be lowered is the
    highest one of the schedule.
    """
    lower = f"--optim.learning-rate {optim.learning_rate / 3:.1g}"
    if optim.name == "muon":
        lower += f" --optim.muon-learning-rate {optim.muon_learning_rate / 3:.1g}"
    clip = optim.grad_clip
    if any(not p.isfinite().all() for p in model.parameters()):
        return f"weights overflowed: the learning rate, {rate:.2g}, is too high", lower
    if math.isfinite(loss):
        clipping = f"--optim.grad-clip {clip / 2:.2g}" if clip else "--optim.grad-clip 1"
        return "the gradient overflowed while the loss did not: it explodes", f"{clipping} {lower}"
    seen = [x for x in before if math.isfinite(x)]
    if seen and seen[-1] > min(seen) + RISEN:
        risen = f"the loss had risen from {min(seen):.2f} to {seen[-1]:.2f}"
        return f"{risen}: the learning rate, {rate:.2g}, is too high", lower
    if not seen:
        return "it is so from the first update on: the weights begin too large, or the rate", lower
    return f"a sudden overflow: the learning rate, {rate:.2g}, is too high for some batch", lower


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that no memory is left; torch raises a plain RuntimeError on CPUs."""
    return (
        isinstance(error, MemoryError | torch.OutOfMemoryError)
        or (isinstance(error, RuntimeError) and "not enough memory" in str(error))
        or "can't allocate memory" in str(error)
    )
