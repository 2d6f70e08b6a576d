"""What can go wrong in the middle of training, in words: losses that are not finite, no memory left."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from hornbook.config import OptimConfig
from hornbook.engine.step import NotFiniteError
from hornbook.errors import RunError
from hornbook.machine import format_bytes
from hornbook.models.base import LanguageModel
from hornbook.parallel.shards import local
from hornbook.runs.commands import resume_command, same_command
from hornbook.training.callbacks.base import TrainerBase
from hornbook.training.checkpoint import saved_steps, use_older_state

RISEN = 0.5  # nats above the lowest by which a loss is said to have risen


@contextmanager
def explained(trainer: TrainerBase) -> Iterator[None]:
    """Turns a loss that is not finite and a lack of memory into a RunError with what to do."""
    try:
        yield
    except NotFiniteError as error:
        if not trainer.ranks.is_first:  # all have found the same, and rank 0 has saved the states
            trainer.ranks.barrier()  # until that has said so
        raise _diverged(trainer, error) from None
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise _out_of_memory(trainer) from None


def _diverged(trainer: TrainerBase, error: NotFiniteError) -> RunError:
    """Why the loss is not finite, what is kept, and how to continue.

    Where the newest state would lead there again, an older one is made the newest.
    """
    path, state, optim = trainer.run.path, trainer.state, trainer.plan.config.optim
    rate, model = state.rate(error.step), trainer.step.model
    cause, flags = why_not_finite(model, error.loss, error.norm, state.losses, rate, optim)
    saved, why = saved_steps(state), ""
    if saved == error.step:
        saved = use_older_state(path, state)
        why = f"the state of step {error.step:,} leads there at any learning rate, "
    kept = f"{why}the state of step {saved:,} is kept" if saved else f"{why}no other is kept"
    command = resume_command(path, flags)
    if not saved:
        command = f"the same command with another --out and {flags}"
    return RunError(
        f"{path}: at step {error.step + 1:,} the loss is {error.loss:.4g} and its gradient norm "
        f"{error.norm:.4g}, expected finite ones; {cause}. Training stopped, {kept}; continue with\n"
        f"  {command}"
    )


def why_not_finite(
    model: LanguageModel,
    loss: float,
    norm: float,
    before: Sequence[float],
    rate: float,
    optim: OptimConfig,
) -> tuple[str, str]:
    """The likely cause of a loss or gradient that is NaN or infinite, and the flags that help.

    before: the losses so far, all finite. rate: the learning rate of that step; what is to be lowered
    is the peak.
    """
    lower = f"--optim.learning-rate {optim.learning_rate / 3:.1g}"
    if optim.name == "muon":
        lower += f" --optim.muon-learning-rate {optim.muon_learning_rate / 3:.1g}"
    clip = optim.grad_clip
    if any(not p.isfinite().all() for p in local(list(model.parameters()))):
        return f"weights overflowed: the learning rate, {rate:.2g}, is too high", lower
    if math.isfinite(loss):
        clipping = f"--optim.grad-clip {clip / 2:.2g}" if clip else "--optim.grad-clip 1"
        return "the gradient overflowed while the loss did not: it explodes", f"{clipping} {lower}"
    if before and before[-1] > min(before) + RISEN:
        risen = f"the loss had risen from {min(before):.2f} to {before[-1]:.2f}"
        return f"{risen}: the learning rate, {rate:.2g}, is too high", lower
    if not before:
        why = "non-finite since step 1: the first weights are too large, or the learning rate"
        return why, lower
    return f"a sudden overflow: the learning rate, {rate:.2g}, is too high for some batch", lower


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that no memory is left; torch raises a plain RuntimeError on CPUs."""
    return (
        isinstance(error, MemoryError | torch.OutOfMemoryError)
        or (isinstance(error, RuntimeError) and "not enough memory" in str(error))
        or "can't allocate memory" in str(error)
    )


def _out_of_memory(trainer: TrainerBase) -> RunError:
    """What was expected, and what to lower."""
    path, memory = trainer.run.path, trainer.plan.memory
    expected = f"; the estimate was {format_bytes(memory.total)}" if memory else ""
    return RunError(
        f"{path}: no memory left at step {trainer.state.step + 1:,}{expected}; close other programs "
        f"and resume ({same_command(path)}), or start a run with a lower --training.batch-size (now "
        f"{trainer.step.batches.batch_size}) or --model.context-length"
    )
