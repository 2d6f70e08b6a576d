"""How much memory training takes: estimated, and refused where it is not there, before it starts.

Parameters, gradients and the optimizer's state are counted; what is kept for the backward pass is
measured on batches of two and three rows, and grows with the batch from there. Scoring a part takes
its logits and, at the end, the best weights once more; the search for the best counts takes its tables.
Saving takes nothing: states are written from where they are. How near it comes is in
docs/reliability.md.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch

from hornbook.config import RunConfig
from hornbook.data.training_data import TrainingData
from hornbook.errors import ConfigError, counted
from hornbook.machine import available_memory, format_bytes
from hornbook.metrics.counts import search_bytes
from hornbook.metrics.loss import scored_logits
from hornbook.models.base import LanguageModel
from hornbook.planning import tuning
from hornbook.planning.decision import Decision


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes of training: weights with gradients and optimizer state, activations, scoring.

    weights: of a count model, what counting takes. activations: what is kept for the backward pass; up
    to BACKWARD_OVERHEAD times that is taken.
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
        """The peak, cautiously: what a step has freed does not always fit what scoring takes."""
        return self.weights + round(tuning.BACKWARD_OVERHEAD * self.activations) + self.scoring

    def is_small(self, available: int | None) -> bool:
        """Whether several times as much is available: then memory may be spent to save time."""
        return available is None or self.total * tuning.MEMORY_TO_SPARE <= available

    def can_be_tried(self, available: int | None) -> bool:
        """Whether there is memory for steps of two copies beside the model, as trials make them."""
        return available is None or 3 * self.weights <= available


def available_bytes(device: torch.device) -> int | None:
    """Bytes that can still be had on a device; None if unknown."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return available_memory()


def own_bytes(device: torch.device, processes: int) -> int | None:
    """Of these, those of one of several processes, which share memory but have a GPU each."""
    found = available_bytes(device)
    return found if found is None or device.type == "cuda" else found // processes


def check_weights_fit(
    model: LanguageModel,
    config: RunConfig,
    available: int | None,
    offer: str = "",
    shards: int = 1,
) -> None:
    """Raises ConfigError where the weights alone do not fit. The model may be on the device `meta`.

    offer: flags that make the vocabulary smaller, if it is large.
    """
    needed = weights_bytes(model, config, shards)
    if available is not None and needed > available:
        raise ConfigError(
            f"memory: weights, gradients and the optimizer need {format_bytes(needed)}, found "
            f"{format_bytes(available)} available; make the model smaller "
            f"(`hornbook models {config.model.name}`){f', or train with {offer}' if offer else ''}"
        )


def weights_bytes(model: LanguageModel, config: RunConfig, shards: int = 1) -> int:
    """Bytes of weights, their gradients and the optimizer's state; of averaged weights, too.

    shards: processes over which they are spread; each of these gathers whole weights to evaluate.
    """
    trained = 4 * sum(p.numel() for p in model.parameters() if p.requires_grad)
    numbers = 1 + tuning.OPTIMIZER_NUMBERS[config.optim.name]
    if config.training.ema_decay:
        numbers += 2  # the averages, and the weights beside them while these are evaluated
    whole = model_bytes(model)
    return (
        whole + trained * numbers if shards == 1 else whole + (whole + trained * numbers) // shards
    )


def model_bytes(model: LanguageModel) -> int:
    """Bytes of parameters and buffers, also of those that are not saved."""
    return sum(int(tensor.nbytes) for tensor in (*model.parameters(), *model.buffers()))


def scoring_bytes(model: LanguageModel, n_tokens: int) -> int:
    """Bytes of the logits while a part of so many tokens is scored."""
    # a network on top of counts: the log probabilities of both, and as many of the whole
    both = 2 if model.counted and not model.fitted else 1
    return both * tuning.SCORING_COPIES * 4 * scored_logits(model, n_tokens)


def report_bytes(model: LanguageModel, data: TrainingData, scored: int | None = None) -> int:
    """Bytes of what comes after the steps: scoring so many tokens (by default those of the validation
    part), then searching for the best counts where a text is held out."""
    scored = data.validation.n_targets if scored is None else scored
    search = search_bytes(data.train.n_targets) if data.split.held_out else 0
    return max(scoring_bytes(model, scored), search)


def estimate_memory(
    weights: int, kept: tuple[int, int], batch_size: int, scoring: int
) -> MemoryEstimate:
    """The estimate from what batches of two and of three rows keep for their backward pass."""
    each = max(0, kept[1] - kept[0])
    activations = kept[0] + each * (batch_size - 2)
    return MemoryEstimate(weights=weights, activations=activations, scoring=scoring)


def checkpointing(
    needed: Callable[[int], MemoryEstimate], available: int | None, least: int, *, blocks: int
) -> Decision[Literal["yes", "no"]]:
    """Whether the activations of blocks are computed again: only where not even the fewest rows fit.

    needed: the estimate for so many rows without it. least: rows. blocks: those of the model.
    """
    if not blocks:
        return Decision("no", "the model has no blocks")
    if available is None or needed(least).total <= available:
        return Decision("no", "activations fit into memory")
    return Decision(
        "yes",
        f"{counted(least, 'row')} would need {format_bytes(needed(least).total)}, found "
        f"{format_bytes(available)}",
    )


def micro_batch(
    needed: Callable[[int], MemoryEstimate], rows: int, available: int | None, *, whole: str = ""
) -> Decision[int | None]:
    """How many rows of a batch are computed at once: None for all of them, or as many as fit.

    needed: the estimate for so many rows. whole: why a batch cannot be divided; empty where it can.
    """
    if whole:
        return Decision(None, whole)
    if available is None or needed(rows).total <= available:
        return Decision(None, "the whole batch fits into memory")
    fits = bisect.bisect_right(range(1, rows), available, key=lambda n: needed(n).total)
    if fits == 0:
        return Decision(None, "not even one row fits into memory")
    pieces = -(-rows // fits)
    need, found = format_bytes(needed(rows).total), format_bytes(available)
    reason = f"{rows} at once need about {need}, found {found} available"
    return Decision(-(-rows // pieces), reason)


def memory_of_counts(
    model: LanguageModel, n_tokens: int, scoring: int, available: int | None, offer: str
) -> tuple[MemoryEstimate, Decision[str]]:
    """Memory that a count model takes to count so many tokens, and then to score, also in words.

    Raises ConfigError where it is not available.
    """
    needed = MemoryEstimate(model.fit_bytes(n_tokens), 0, scoring)
    words = check_memory(needed, available, batch_size=None, model=model.config.name, offer=offer)
    return needed, Decision(words, "estimated")


def check_memory(
    needed: MemoryEstimate,
    available: int | None,
    *,
    batch_size: int | None,
    model: str,
    offer: str = "",
) -> str:
    """The estimate and what is available, in words. Raises ConfigError where it does not fit.

    batch_size: None for counts. offer: flags that make the vocabulary smaller, if it is large.
    """
    words = f"about {format_bytes(needed.total)}"
    if available is None:
        return words
    words += f" of {format_bytes(available)} available"
    if needed.total <= available:
        return words
    advice = _advice(needed, available, batch_size, model, offer)
    if needed.least <= available:
        return f"{words}: it may run out; to be safe, {advice}"
    what = "counting" if batch_size is None else "training"
    parts = [
        f"weights with optimizer {format_bytes(needed.weights)}",
        f"activations of a step {format_bytes(needed.activations)}",
    ]
    if batch_size is None:
        parts = [f"counts {format_bytes(needed.weights)}"]
    raise ConfigError(
        f"memory: {what} needs at least {format_bytes(needed.least)} ({', '.join(parts)}, scoring "
        f"{format_bytes(needed.scoring)}), found {format_bytes(available)} available; {advice}"
    )


def _advice(
    needed: MemoryEstimate, available: int, batch_size: int | None, model: str, offer: str
) -> str:
    """What to lower, and to what where that is known."""
    if batch_size is None:
        return f"train with {offer}" if offer else "lower --model.order, or give less text"
    if offer and needed.scoring > needed.activations:
        return f"train with {offer}"
    left = available - needed.weights - needed.scoring
    fits = int(batch_size * left / max(1, tuning.BACKWARD_OVERHEAD * needed.activations))
    if 1 <= fits < batch_size:
        return f"lower the batch: --training.batch-size {fits} (now {batch_size})"
    return (
        f"lower --training.batch-size (now {batch_size}), --model.context-length or the sizes of "
        f"the model (`hornbook models {model}`){f', or train with {offer}' if offer else ''}"
    )
