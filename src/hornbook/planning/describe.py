"""A plan in words, and as the facts that config.json keeps."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import numpy as np
import torch

from hornbook.data.corpus import Corpus
from hornbook.data.kind import BLANK
from hornbook.data.reading import READING
from hornbook.data.separators import LINE
from hornbook.data.units import RECORD
from hornbook.engine.device import describe_device
from hornbook.errors import counted
from hornbook.kernels.tuning import SPAN
from hornbook.models.registry import build_on_meta
from hornbook.planning.decision import REQUESTED
from hornbook.planning.plan import Plan
from hornbook.version import __version__

COMPILED = {
    "no": "no",
    "loss": "the loss of a batch",
    "blocks": "each block",
    "steps": f"{SPAN} steps in one call",
}


def describe(plan: Plan) -> list[tuple[str, str]]:
    """The plan for a reader: (what, how) pairs, each decision with its reason."""
    data, shape = plan.data, plan.shape
    corpus, split, tokenizer = data.corpus, data.split, data.tokenizer
    unit = "documents" if split.documents else "characters"
    sizes = " / ".join(f"{size:,}" for size in split.sizes)
    again = "" if split.held_out else "; validation is the training part again"
    count = "fitted by counting" if shape.fitted else f"{shape.n_parameters:,} parameters"
    if (trained := trained_parameters(plan)) is not None:
        count += f", {trained:,} of them in LoRA's matrices and trained"
    if shape.counted and not shape.fitted:
        count += " and counts of the training part"
    why = corpus.why_kind
    if BLANK in why:
        why += "; to read what is between them as documents: --separator blank"
    lines = [  # what, how, and the decision that it comes from
        ("corpus", f"{corpus.source}: {corpus.kind} ({why})", ""),
        ("tokenizer", f"{tokenizer.kind}, {tokenizer.vocab_size:,} tokens", _tokenizer(plan)),
        *_base(plan),
        ("split", f"train / validation / test: {sizes} {unit}{again}", ""),
        ("model", f"{plan.config.model.name}, {count}", "size"),
        ("context", counted(shape.context_length, "token"), "model.context_length"),
    ]
    if shape.held_back:
        why = "of the training part, not trained on: they say how far the network is trusted"
        lines.append(("held back", f"about {counted(shape.held_back, 'token')} {why}", ""))
    device = ("device", describe_device(plan.device), "device")
    if shape.fitted:
        lines.append(device)
    else:
        total = plan.schedule.total_steps
        tokens = plan.tokens_per_step * total
        epochs = shape.passes(tokens)
        read = f"{epochs:.2g}" if 0 < epochs < 0.1 else f"{epochs:,.1f}"
        steps = f"{total:,}, {counted(round(tokens), 'token')}, {read} epochs"
        lines += [
            ("batch", counted(plan.rows, shape.examples.removesuffix("s")), "training.batch_size"),
            ("row length", counted(shape.row_length, "token"), "row_length"),
            ("steps", steps, "training.steps"),
            *_changed(plan),
            *_shared(plan),
            device,
            ("threads", str(plan.threads), "threads"),
            ("precision", plan.precision, "precision"),
            ("compiled", COMPILED[plan.compiled], "compiled"),
        ]
    if memory := plan.decisions.get("memory"):
        lines.append(("memory", str(memory.value), ""))
    found = [(what, how, plan.decisions.get(name)) for what, how, name in lines]
    described = [(what, f"{how} ({why.reason})" if why else how) for what, how, why in found]
    return described + [("note", note) for note in plan.notes]


def _base(plan: Plan) -> list[tuple[str, str, str]]:
    """What the run begins from, and how."""
    if plan.start is None:
        return []
    facts, config, old = plan.start.facts, plan.config.finetuning, plan.start.old
    lines = [("base", f"{facts['source']}: {facts['model']}, sha256 {facts['sha256'][:12]}...", "")]
    if config.lora_rank:
        how = f"LoRA of rank {config.lora_rank}, times {config.scale:g}"
        lines.append(("trained", f"{how}; all other weights stay", ""))
    if old is not None:
        share = f"{config.replay:.0%} of each batch" if config.replay else "watched, not trained on"
        lines.append(("old text", f"{old.name}: {share}", ""))
    return lines


def trained_parameters(plan: Plan) -> int | None:
    """How many numbers are trained where that is not all of the model's; else None."""
    if plan.start is None or not plan.config.finetuning.lora_rank:
        return None
    tokenizer = plan.data.tokenizer
    model = build_on_meta(plan.config.model, tokenizer.vocab_size, tokenizer.end_id)
    plan.start.freeze(model, plan.start.grown_names(model))
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def _changed(plan: Plan) -> list[tuple[str, str, str]]:
    """Decisions on learning rates and dropout that are not just what the preset says."""
    optim, lines = plan.config.optim, list[tuple[str, str, str]]()
    if "optim.learning_rate" in plan.decisions:
        rates = f"{optim.learning_rate:g}"
        if optim.name == "muon" and not plan.config.finetuning.lora_rank:
            rates += f", of Muon's matrices {optim.muon_learning_rate:g}"
        lines.append(("learning rate", rates, "optim.learning_rate"))
    optimizer = plan.decisions.get("optim.name")
    if optimizer is not None and optimizer.reason not in ("the preset's", REQUESTED):
        lines.append(("optimizer", str(optimizer.value), "optim.name"))
    names = {
        "optim.warmup": "warm-up",
        "model.dropout": "dropout",
        "training.eval_count": "evaluations",
        "training.patience": "patience",
    }
    for name, what in names.items():
        decision = plan.decisions.get(name)
        if decision is not None and decision.reason not in ("the preset's", REQUESTED):
            lines.append((what, f"{decision.value:g}", name))
    return lines


def _tokenizer(plan: Plan) -> str:
    """The decision about the tokens that is shown: which, else how many."""
    names = ("tokenizer.kind", "tokenizer.vocab_size")
    return next((name for name in names if name in plan.decisions), "")


def _shared(plan: Plan) -> list[tuple[str, str, str]]:
    """How a batch is shared: by processes, and by what is computed at once."""
    lines: list[tuple[str, str, str]] = []
    if plan.ranks.many:
        how = plan.decisions["parallel"].value if "parallel" in plan.decisions else ""
        lines.append(("processes", f"{plan.ranks.world_size:,}, {how}", "parallel"))
    if plan.config.training.checkpointing == "yes":
        lines.append(("activations", "computed again", "training.checkpointing"))
    if plan.rows_at_once < plan.own_rows:
        rows = f"{plan.rows_at_once:,} of {plan.own_rows:,} at once"
        lines.append(("micro-batch", rows, "training.micro_batch"))
    return lines


def facts(plan: Plan, n_parameters: int) -> dict[str, Any]:
    """What config.json says besides the settings. n_parameters: of a count model, once it is fitted."""
    corpus = plan.data.corpus
    found: dict[str, Any] = {
        "hornbook": __version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "corpus": {
            "name": corpus.name,
            "source": corpus.source,
            "kind": corpus.kind,
            "why": corpus.why_kind,
            "sha256": corpus.sha256,
            "bytes": corpus.n_bytes,
            "reading": READING,
            "read": reading_facts(corpus),
        },
        "split": {
            "train": plan.data.train.n_targets,
            "validation": plan.data.validation.n_targets,
            "unit": "tokens",
        },
        "vocab_size": plan.data.tokenizer.vocab_size,
        "n_parameters": n_parameters,
        "hardware": {
            "device": describe_device(plan.device),
            "precision": plan.precision,
            "compiled": plan.compiled,
            "machine": platform.machine(),
            "system": platform.system(),
            "cores": os.cpu_count(),
            "threads": plan.threads,
            **(
                {"ranks": plan.ranks.world_size, "parallel": plan.parallel}
                if plan.ranks.many
                else {}
            ),
        },
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
        },
        "decisions": {name: asdict(decision) for name, decision in plan.decisions.items()},
    }
    if plan.start is not None:
        found["base"] = dict(plan.start.facts)
        if (trained := trained_parameters(plan)) is not None:
            found["trained_parameters"] = trained
    if plan.ranks.launch.run_id:
        found["launch"] = plan.ranks.launch.run_id
    if len(plan.schedule.segments) > 1:
        found["schedule"] = [list(segment) for segment in plan.schedule.segments]
    return found


def reading_facts(corpus: Corpus) -> dict[str, str]:
    """How a corpus is read, as settings of `data`; none for text of a document a line, or a stream."""
    source, separator = corpus.origin, corpus.separator
    found = {"separator": separator} if separator not in ("", LINE, RECORD) else {}
    if source.records:
        found |= {"format": source.format, "field": source.field, "header": source.header}
    if source.template is not None:
        found["template"] = source.template.setting
    return found
