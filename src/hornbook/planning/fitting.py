"""What is fitted to a text where nobody asked for it: context, batch, updates, dropout. And said."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from hornbook.config import Nested
from hornbook.data.part import Part, fitting_context
from hornbook.errors import DataError

if TYPE_CHECKING:
    from hornbook.planning.plan import Plan

LONGEST_DEFAULT = 256  # tokens of context for long documents, where nobody asks for more
CROWDED = 3  # parameters for each token of a text: from there on it is a small text
EPOCHS = 12  # through a small text: after more, models learned it by heart (benchmarks/small.py)
NEAR = 1.25  # times as many are left alone
SHARE = 6  # updates in an epoch of a small text, at least
DROPOUT = 0.3  # with so many epochs


def fit_context(merged: Nested, asked: Nested, train_part: Part, val_part: Part) -> list[str]:
    """Fits context and batch to the text where nobody asked for them; says what was changed.

    Raises DataError where a context was asked for that the text cannot fill.
    """
    wanted: int = merged["model"]["context_length"]
    notes = []
    if "context_length" in asked["model"]:
        if not train_part.documents and wanted > val_part.n_targets:
            raise DataError(
                f"model.context_length: found {wanted}, but the validation part has only "
                f"{val_part.n_targets} tokens; ask for at most {val_part.n_targets // 2}, or leave "
                "it out and it is fitted to the text"
            )
        fitted = wanted
    elif train_part.documents:
        needed = 2 ** math.ceil(math.log2(max(train_part.longest, val_part.longest)))
        fitted = min(max(wanted, needed), max(wanted, LONGEST_DEFAULT))
        tokens = train_part.n_targets
        fitted = min(fitted, max(needed, fitting_context(tokens, fitted)))
    else:
        fitted = fitting_context(val_part.n_targets, wanted)
    if fitted != wanted:
        merged["model"]["context_length"] = fitted
        why = "long documents" if fitted > wanted else "a small text"
        note = f"context length {fitted} instead of {wanted}: {why}"
        batch = merged["training"]["batch_size"]
        if isinstance(batch, int) and "batch_size" not in asked.get("training", {}):
            merged["training"]["batch_size"] = max(1, batch * wanted // fitted)
            note += f"; batch size {merged['training']['batch_size']}"
        notes.append(note)
    if train_part.documents and (longer := int((np.diff(train_part.starts) > fitted).sum())):
        notes.append(
            f"{longer:,} documents are longer than the context of {fitted}: learned in pieces"
        )
    return notes


def fit_updates(plan: Plan, merged: Nested, asked: Nested) -> str:
    """Fits updates, batch and dropout to a small text where nobody asked for them; says so."""
    model, training, optim = merged["model"], merged["training"], merged["optim"]
    told = asked.get("training", {})
    if plan.model.fitted or "steps" in told or training["batch_size"] == "all":
        return ""
    steps, batch, most = training["steps"], training["batch_size"], plan.most_updates
    if most is None or steps <= NEAR * most:
        return ""
    if "batch_size" not in told:
        training["batch_size"] = max(1, min(batch, batch * most // (SHARE * EPOCHS)))
    training["steps"] = round(most * batch / training["batch_size"])
    if "warmup" not in asked.get("optim", {}):
        optim["warmup"] = min(optim["warmup"], training["steps"] // 10)
    note = f"{training['steps']:,} updates of {training['batch_size']:,} instead of {steps:,}"
    note += f" of {batch:,}"
    if "dropout" not in asked["model"] and model.get("dropout", DROPOUT) < DROPOUT:
        model["dropout"] = DROPOUT
        note += f", dropout {DROPOUT}"
    return (
        f"{note}: {EPOCHS} times through a small text; more of them would learn it by heart "
        "(--steps trains longer)"
    )
