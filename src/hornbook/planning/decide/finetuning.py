"""How a trained model is trained further: for fewer steps, and no longer than it helps.

docs/finetuning.md has the measurements.
"""

from __future__ import annotations

import math

from hornbook.errors import counted
from hornbook.planning import tuning
from hornbook.planning.decide.batches import BatchSize
from hornbook.planning.decision import Decision


def batch_size(
    preset: Decision[BatchSize], tokens_per_row: float, n_train: int
) -> Decision[BatchSize]:
    """Rows of a batch: the preset's, of a small text fewer, so that each pass has some steps."""
    if preset.value == "all":
        return preset
    fitting = max(2, int(n_train / tokens_per_row / tuning.CONTINUED_STEPS_PER_EPOCH))
    if fitting >= preset.value:
        return preset
    return Decision(fitting, "a small text")


def batch_in_time(
    batch: Decision[BatchSize], rows: int, steps: int, least: int
) -> Decision[BatchSize]:
    """Rows of a batch within a time budget: fewer, where only a few steps would fit.

    rows: in a batch now. steps: how many of these fit. least: rows, and what they are a multiple of.
    """
    fitting = max(least, rows * steps // tuning.CONTINUED_TIMED_STEPS // least * least)
    if fitting >= rows:
        return batch
    return Decision(fitting, f"of {rows} only {counted(steps, 'step')} would fit into the time")


def row_length(context: int, *, longest: int | None, n_train: int) -> Decision[int]:
    """Tokens in a row: the context of the base, but no more than a text needs.

    longest: tokens of the longest document; None of a stream. n_train: tokens of the training part.
    """
    needed = tuning.CONTINUED_ROW if longest is None else max(64, longest)
    row = min(context, max(needed, tuning.CONTINUED_ROW))
    row = min(row, max(2, n_train // 2))
    return Decision(row, "the context of the base" if row == context else "enough for this text")


def steps(n_train: int, tokens_per_step: float, replay: float, planned: int) -> Decision[int]:
    """Steps: a few passes through the new text, at most as many as the preset has for a new model.

    tokens_per_step: of a batch, of which the share `replay` is old text.
    """
    passes = tuning.CONTINUED_EPOCHS
    wanted = math.ceil(passes * n_train / (tokens_per_step * (1 - replay)))
    if wanted > planned:
        return Decision(planned, "the preset's")
    return Decision(
        max(1, wanted), f"{passes} passes through the new text, or until it gets no better"
    )


def optimizer(preset: str, *, muon: bool) -> Decision[str]:
    """The optimizer: the preset's, but Muon only for weights that it has trained.

    muon: whether it trained the base.
    """
    if preset == "muon" and not muon:
        return Decision("adamw", "the base was trained without Muon")
    return Decision(preset, "the preset's")


def learning_rate(preset: float, *, lora: bool, changed: bool, channels: int) -> Decision[float]:
    """The peak learning rate of AdamW.

    changed: the optimizer is another than the preset's rate is for. channels: of the model; each weight
    of a wide one adds up with more others, so it moves less.
    """
    if lora:
        rate = tuning.LORA_RATE * math.sqrt(tuning.MEASURED_CHANNELS / channels)
        return Decision(rate, "of LoRA's matrices, for so many channels")
    if changed:
        rate = tuning.CONTINUED_ADAMW_RATE * tuning.MEASURED_CHANNELS / channels
        return Decision(rate, "for so many channels: the weights are trained already")
    return _share(preset)


def muon_learning_rate(preset: float) -> Decision[float]:
    """The peak learning rate of Muon's matrices."""
    return _share(preset)


def _share(preset: float) -> Decision[float]:
    share = tuning.CONTINUED_RATE
    return Decision(preset * share, f"{share:g} of the preset's: the weights are trained already")


def dropout(base: float, *, small_text: bool) -> Decision[float]:
    """The dropout of the base; of a small text, which is read many times, more. Without any it stays
    so: in some models another layer would change the names of the weights."""
    if small_text and 0 < base < tuning.CONTINUED_DROPOUT:
        return Decision(tuning.CONTINUED_DROPOUT, "a small text is read many times")
    return Decision(base, "the base's")


def evaluations() -> tuple[Decision[int], Decision[int]]:
    """How many evaluations, and how many of them without a new best end the run."""
    count, patience = tuning.CONTINUED_EVALUATIONS, tuning.CONTINUED_PATIENCE
    return (
        Decision(count, "often, as the best weights may come soon"),
        Decision(patience, "a model that is trained further soon memorizes a small text"),
    )
