"""How much a step sees: context length, batch size, steps, and what follows from a small text."""

from __future__ import annotations

import math
from typing import Literal

from hornbook.data.part import fitting_context
from hornbook.errors import DataError
from hornbook.planning.decision import Decision
from hornbook.planning.tuning import (
    DEFAULT_CONTEXT_LIMIT,
    SMALL_TEXT_DROPOUT,
    SMALL_TEXT_EPOCHS,
    SMALL_TEXT_RATIO,
    SMALL_TEXT_STEPS_PER_EPOCH,
    TOLERATED,
)

BatchSize = int | Literal["all"]


def context_length(
    preset: int, *, documents: bool, longest: int, n_train: int, n_validation: int
) -> Decision[int]:
    """The context in tokens: a preset's, longer for long documents, shorter for a small text.

    longest: tokens of the longest document. n_train, n_validation: tokens of the two parts.
    """
    if documents:
        needed = 2 ** math.ceil(math.log2(longest))
        fitted = min(max(preset, needed), max(preset, DEFAULT_CONTEXT_LIMIT))
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


def row_length(
    *, sliding: bool, examples: Literal["sequences", "windows"], context: int, n_train: int
) -> int:
    """Tokens in a row of the batches."""
    if sliding and examples == "sequences":
        return min(max(64, 4 * context), n_train)
    return context


def max_steps(n_parameters: int, n_train: int, tokens_per_step: float) -> int | None:
    """Steps after which a small text begins to be memorized; None where the text is not small.

    A text is small where a model has several parameters for each of its tokens.
    """
    if n_parameters < SMALL_TEXT_RATIO * n_train:
        return None
    return max(2, round(SMALL_TEXT_EPOCHS * n_train / tokens_per_step))


def steps_and_batch(
    steps: Decision[int], batch: BatchSize, limit: int | None, *, batch_requested: bool
) -> tuple[Decision[int], Decision[BatchSize]]:
    """Steps and batch size of a text: a small one has fewer steps, of smaller batches.

    steps, batch: of the preset, or as many as fit into a time budget. limit: see `max_steps`.
    """
    if limit is None or batch == "all" or steps.value <= TOLERATED * limit:
        return steps, Decision(batch, "the preset's")
    smaller = batch
    if not batch_requested:
        most = batch * limit // (SMALL_TEXT_STEPS_PER_EPOCH * SMALL_TEXT_EPOCHS)
        smaller = max(1, min(batch, most))
    reason = f"{SMALL_TEXT_EPOCHS} times through a small text; more would memorize it"
    return Decision(round(limit * batch / smaller), reason), Decision(smaller, "a small text")


def dropout(preset: float, *, small_text: bool, epochs: float | None) -> Decision[float]:
    """The dropout of a preset; of a small text more, and of a time budget by how often each token is
    seen.

    epochs: passes through the training part of a size that was chosen for a time budget, else None.
    """
    if small_text and preset < SMALL_TEXT_DROPOUT:
        return Decision(SMALL_TEXT_DROPOUT, "a small text is seen many times")
    if epochs is None:
        return Decision(preset, "the preset's")
    shares = ((4, 0.0), (6, 0.05), (20, 0.1))
    share = next((share for most, share in shares if epochs < most), 0.2)
    return Decision(share, f"each token is seen {epochs:.1f} times")


def warmup(preset: int, preset_steps: int, steps: int) -> Decision[int]:
    """Steps of warm-up: the preset's, of a shorter run a tenth of its steps at most."""
    shorter = max(1, steps // 10)
    if steps >= preset_steps or preset <= shorter:
        return Decision(preset, "the preset's")
    return Decision(shorter, "a tenth of the steps")
