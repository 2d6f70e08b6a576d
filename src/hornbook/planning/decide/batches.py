"""How much a step sees: context length, batch size, steps, and what follows from a small text."""

from __future__ import annotations

import math
from typing import Literal

from hornbook.data.part import fitting_context
from hornbook.errors import ConfigError, DataError, counted
from hornbook.planning import tuning
from hornbook.planning.decision import REQUESTED, Decision

BatchSize = int | Literal["all"]
Examples = Literal["sequences", "windows"]


def context_length(
    preset: int, *, documents: bool, longest: int, n_train: int, n_validation: int
) -> Decision[int]:
    """The context in tokens: a preset's, longer for long documents, shorter for a small text.

    longest: tokens of the longest document. n_train, n_validation: tokens of the two parts.
    """
    if documents:
        needed = 2 ** math.ceil(math.log2(longest))
        fitted = min(max(preset, needed), max(preset, tuning.DEFAULT_CONTEXT_LIMIT))
        fitted = min(fitted, max(needed, fitting_context(n_train, fitted)))
    else:
        fitted = fitting_context(n_validation, preset)
    if fitted == preset:
        return Decision(preset, "the preset's")
    return Decision(fitted, "long documents" if fitted > preset else "a small text")


def check_context(requested: int, *, documents: bool, n_validation: int) -> None:
    """Raises DataError where a context was requested that a stream cannot fill."""
    if not documents and requested > n_validation:
        raise DataError(
            f"model.context_length: found {requested}, but the validation part has only "
            f"{n_validation} tokens; give at most {n_validation // 2}, or leave it out and it is "
            "fitted to the text"
        )


def check_ranks(rows: int, world_size: int, least: int = 1) -> None:
    """Raises ConfigError where a batch is too small to be shared. least: rows of each rank."""
    if world_size > 1 and rows < world_size * least:
        each = "one row" if least == 1 else f"{least} windows"
        raise ConfigError(
            f"training.batch_size: found a batch of {rows} for {world_size} processes, expected "
            f"{world_size * least} or more, {each} for each; give a larger --training.batch-size, or "
            "start fewer processes (torchrun --nproc-per-node)"
        )


def examples(requested: Literal["auto"] | Examples, own: Examples) -> Decision[Examples]:
    """The form of the batches: the model's own, unless another is requested."""
    if requested != "auto":
        return Decision(requested, REQUESTED)
    return Decision(own, "the model's")


def row_length(
    requested: int | None = None,
    *,
    sliding: bool,
    examples: Examples,
    context: int,
    n_train: int,
) -> Decision[int]:
    """Tokens in a row of the batches. n_train: tokens of the training part.

    Raises ConfigError for a request that cannot be met.
    """
    if requested is not None:
        found = f"training.row_length: found {requested}, but"
        if examples == "windows":
            raise ConfigError(f"{found} windows are as long as the context; leave it out")
        if not sliding and requested > context:
            raise ConfigError(f"{found} the context has {context} tokens; give at most {context}")
        if requested > n_train:
            raise ConfigError(f"{found} the training part has {n_train} tokens; give at most that")
        return Decision(requested, "set by training.row_length")
    if not sliding or examples == "windows":
        return Decision(context, "the context")
    length = max(64, 4 * context)
    if length > n_train:
        return Decision(n_train, "the whole training part")
    return Decision(length, "four times the context, at least 64")


def batch_in_context(
    preset: BatchSize, preset_context: int, context: int, *, least: int
) -> Decision[BatchSize]:
    """A batch of about as many tokens as the preset's in its context. least: rows at least."""
    if preset == "all" or context == preset_context:
        return Decision(preset, "the preset's")
    rows = max(least, preset * preset_context // context)
    return Decision(rows, f"about as many tokens as {preset} in the preset's context")


def max_steps(n_parameters: int, n_train: int, tokens_per_step: float) -> int | None:
    """Steps after which a small text begins to be memorized; None where the text is not small.

    A text is small where a model has several parameters for each of its tokens.
    """
    if n_parameters < tuning.SMALL_TEXT_RATIO * n_train:
        return None
    return max(2, round(tuning.SMALL_TEXT_EPOCHS * n_train / tokens_per_step))


def steps_of_epochs(epochs: float, n_train: int, tokens_per_step: float) -> Decision[int]:
    """The steps that read the training part so many times, rounded up.

    n_train: tokens of the training part. tokens_per_step: predicted in a step, on average.

    >>> steps_of_epochs(2.5, 1000, 32.0).value
    79
    """
    passes = f"{counted(epochs, 'pass', 'passes')} through the training part"
    # rounded first: 3 epochs of 10 / (10 / 3) steps are not one step more
    return Decision(max(1, math.ceil(round(epochs * n_train / tokens_per_step, 6))), passes)


def steps_and_batch(
    steps: Decision[int],
    batch: Decision[BatchSize],
    limit: int | None,
    *,
    rows: int,
    in_time: bool = False,
    keep_batch: bool = False,
    least: int = 1,
    passes: int = tuning.SMALL_TEXT_EPOCHS,
) -> tuple[Decision[int], Decision[BatchSize]]:
    """Steps and batch size of a text: a small one has fewer steps, of smaller batches.

    steps: the preset's or, in_time, as many as fit into a time budget, which are not exceeded.
    limit: see `max_steps`, of this batch. rows: in the batch, which a text may have fewer of than was
    set. least: rows of a batch at least. passes: through the text, in as many steps as `limit`.
    """
    is_all = batch.value == "all"
    tolerated = 1.0 if in_time else tuning.TOLERATED
    if limit is None or steps.value <= tolerated * limit or (is_all and not in_time):
        return steps, batch
    fewer = limit
    if not is_all and not keep_batch:
        most = rows * limit // (tuning.SMALL_TEXT_STEPS_PER_EPOCH * tuning.SMALL_TEXT_EPOCHS)
        smaller = min(rows, max(least, most))
        fewer = round(limit * rows / smaller)
        batch = batch if smaller == batch.value else Decision(smaller, "a small text")
    if not in_time or fewer < steps.value:
        reason = f"{passes} times through a small text; more would memorize it"
        steps = Decision(fewer, reason)
    return steps, batch


def dropout(preset: float, *, small_text: bool, epochs: float | None) -> Decision[float]:
    """The dropout of a preset; of a small text more, and of a time budget by how often each token is
    read.

    epochs: passes through the training part of a size that was chosen for a time budget, else None.
    """
    if small_text and preset < tuning.SMALL_TEXT_DROPOUT:
        return Decision(tuning.SMALL_TEXT_DROPOUT, "a small text is read many times")
    if epochs is None:
        return Decision(preset, "the preset's")
    shares = ((4, 0.0), (6, 0.05), (20, 0.1))
    share = next((share for most, share in shares if epochs < most), 0.2)
    return Decision(share, f"each token is read {epochs:.1f} times")


def warmup(preset: int, preset_steps: int | None, steps: int) -> Decision[int]:
    """Steps of warm-up: the preset's, of a shorter run a tenth of its steps at most.

    preset_steps: what the preset's warm-up is meant for; None: of any number a tenth at most.
    """
    shorter = max(1, steps // 10)
    if preset <= shorter or (preset_steps is not None and steps >= preset_steps):
        return Decision(preset, "the preset's")
    return Decision(shorter, "a tenth of the steps")
