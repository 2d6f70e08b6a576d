"""The settings of a run that begins from a base, being decided: in place of a new model's."""

from __future__ import annotations

from hornbook.config import Nested
from hornbook.data.part import Part
from hornbook.models.registry import MODELS
from hornbook.planning.decide import batches, finetuning
from hornbook.planning.decision import Decision
from hornbook.planning.draft import Draft
from hornbook.planning.shape import Shape
from hornbook.planning.start import Start


def decide_form(draft: Draft, preset: Nested, start: Start, train: Part) -> int | None:
    """The optimizer, and the rows: the context stays the base's, but a text may need less.

    Returns the context that the batch of the preset is for; None where it does not matter.
    """
    draft.decide("optim.name", finetuning.optimizer(draft["optim.name"], muon=start.muon))
    if not draft.has("model.context_length") or MODELS[draft["model.name"]].model.sliding:
        return None
    shortest = train.n_targets  # of the texts that rows are drawn from
    if start.config.replay and start.old is not None:
        shortest = min(shortest, start.old.train.n_targets)
    row = finetuning.row_length(
        draft["model.context_length"],
        longest=train.longest if train.documents else None,
        n_train=shortest,
    )
    draft.decisions["row_length"] = draft.propose("training.row_length", row)
    context: int | None = preset.get("model", {}).get("context_length")
    return context


def decide_steps(
    draft: Draft, shape: Shape, batch: Decision[batches.BatchSize], steps: Decision[int]
) -> None:
    """Steps, evaluations, dropout and learning rates.

    steps: of the preset, or of the epochs or the time that were requested.
    """
    lora = bool(draft["finetuning.lora_rank"])
    if draft["training.epochs"] is None and draft["training.minutes"] is None:
        tokens = shape.tokens_per_step(batch.value)
        steps = finetuning.steps(shape.n_train, tokens, shape.replay, steps.value)
    n_steps = draft.decide("training.steps", steps)
    draft.decide("training.batch_size", batch)
    count, patience = finetuning.evaluations()
    if "training.eval_count" not in draft.decisions:  # a time budget decides it
        draft.decide("training.eval_count", count)
    draft.decide("training.patience", patience)
    draft.decide("optim.warmup", batches.warmup(draft["optim.warmup"], None, n_steps))
    if draft.has("model.dropout"):
        small = shape.max_steps(batch.value) is not None
        own = finetuning.dropout(draft["model.dropout"], small_text=small)
        draft.decide("model.dropout", own)
    rate = finetuning.learning_rate(
        draft["optim.learning_rate"],
        lora=lora,
        changed=draft["optim.name"] != draft.preset.optim.name,
        channels=draft["model.n_embd"] if draft.has("model.n_embd") else 1,
    )
    draft.decide("optim.learning_rate", rate)
    if draft["optim.name"] == "muon" and not lora:  # which AdamW alone trains
        muon_rate = finetuning.muon_learning_rate(draft["optim.muon_learning_rate"])
        draft.decide("optim.muon_learning_rate", muon_rate)
