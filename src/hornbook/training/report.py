"""report.json: what the best weights are worth, measured once at the end."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from hornbook.data.part import Part
from hornbook.files import write_json
from hornbook.kernels.install import install
from hornbook.metrics.activations import first_weights
from hornbook.metrics.answers import exact_answers
from hornbook.metrics.counts import Counts, mix_with_counts, paired
from hornbook.metrics.learning_curve import progress_to_reach, smoothed
from hornbook.metrics.loss import Floats, evaluate, summarize, token_nats
from hornbook.metrics.novelty import (
    Novelty,
    NoveltyReport,
    measure_novelty,
    novelty_report,
)
from hornbook.metrics.text_index import TextIndex
from hornbook.metrics.typicality import HeldOutTexts
from hornbook.metrics.verdict import OVERHEAD, AgainstCounts, Evidence, judge
from hornbook.models.base import LanguageModel
from hornbook.planning.plan import Plan
from hornbook.planning.start import Start
from hornbook.pretrained.adapter import ADAPTER, WEIGHTS
from hornbook.pretrained.hashing import sha256_of
from hornbook.runs.directory import StoredRun
from hornbook.runs.lock import Lock
from hornbook.tokenizers import Tokenizer
from hornbook.training.callbacks.samples import draw_samples
from hornbook.training.state import TrainingState

KEPT = 20  # samples in the report
ENOUGH = 6  # evaluations for a curve
LESS_CONTEXT = 0.05  # nats per token that counts gain by seeing more tokens than a model does


def determinism(plan: Plan) -> str:
    """What another training with the same settings would equal this one in."""
    if plan.shape.fitted:
        return "bitwise: counts are the same everywhere"
    if plan.device.type != "cpu" and not plan.config.training.deterministic:
        return (
            f"statistical: a {plan.device.type} device adds in no fixed order (hornbook train "
            "--deterministic makes it one, slower)"
        )
    threads = f"{plan.threads} threads" if plan.threads > 1 else "1 thread"
    if plan.ranks.many:
        threads = f"{plan.ranks.world_size} processes of {threads}"
    where = f"on this machine, with torch {torch.__version__}, {threads} and {plan.precision}"
    if plan.compiled != "no":
        return "statistical: compiled kernels may round sums differently"
    if plan.precision != "fp32":
        return f"bitwise {where}; elsewhere statistical, as {plan.precision} is rounded differently"
    return f"bitwise {where}; elsewhere statistical"


def write_report(
    plan: Plan,
    run: StoredRun,
    lock: Lock,
    state: TrainingState | None = None,
    last: LanguageModel | None = None,
    nats: Floats | None = None,
) -> None:
    """Measures the best weights and writes report.json, wherever the run was moved meanwhile.

    state, last: of a run that was trained in steps, its state and its last weights.
    nats: of each token of the validation part by the model, where they are known, (n_targets,).
    """
    run.path = lock.followed()
    model = run.model if plan.device.type == "cpu" else copy.deepcopy(run.model).to(plan.device)
    if not plan.config.training.reference:
        install(model)
    data = plan.data
    if nats is None:
        nats = token_nats(model, data.validation)
    validation = summarize(nats, data.validation, max(model.context_length, 1))
    log, documents = run.log, data.documents
    parts = {n: evaluate(part, data.validation).to_json() for n, part in model.parts.items()}
    samples = draw_samples(plan, model, KEPT)
    newest = log[-1] if log else {"step": 0, "tokens": 0, "seconds": 0}
    best_step = newest["step"] if state is None else state.history.best_step
    best = next((r for r in log if r["step"] == best_step), {})
    report: dict[str, Any] = {
        "steps": newest["step"],
        "best_step": best_step,
        "tokens": newest["tokens"],
        "passes": plan.shape.passes(best.get("tokens", newest["tokens"])),
        "seconds": newest["seconds"],
        "loss": best.get("loss"),
        "train_loss": best.get("train_loss"),
        "validation": validation.to_json(),
        "held_out": data.split.held_out,
        "held_out_texts": HeldOutTexts.measure(model, run.tokenizer, data.validation).to_json(),
        "determinism": determinism(plan),
        "samples": samples,
    }
    if plan.start is not None:
        report |= _of_a_start(plan.start, run, model)
    if parts:
        report["parts"] = parts
    if state is not None and len(state.schedule.segments) > 1:
        report["schedule"] = [list(segment) for segment in state.schedule.segments]
    if documents:
        made, known = set(samples) - {""}, set(data.corpus.documents)
        report["samples_different"], report["samples_new"] = len(made), len(made - known)
    others = last if best_step != newest["step"] else None
    template = data.corpus.origin.template
    if template is None:
        novelty = novelty_report(
            model, others, run.tokenizer, plan.text_index, best_step, newest["step"]
        )
    else:
        novelty = NoveltyReport(None, reason="an answer may well be one of the training part")
        found = exact_answers(model, run.tokenizer, data.validation, template.stops)
        report["answers"] = found and found.to_json()
    report["novelty"] = novelty.to_json()
    alone = parts_alone(model, novelty.kept, parts, run.tokenizer, plan.text_index)
    evidence = Evidence(
        loss=validation.nats,
        standard_error=validation.standard_error,
        uniform=math.log(data.tokenizer.vocab_size),
        held_out=data.split.held_out,
        fitted=plan.shape.fitted,
        counted=plan.shape.counted,
        alone=alone,
        passes=report["passes"],
        novelty=novelty.kept,
        training_loss=report["loss"] if report["train_loss"] is None else report["train_loss"],
        best_step=best_step,
        steps=newest["step"],
        minutes=newest["seconds"] / 60,
        overhead=max(OVERHEAD, plan.time_budget.minutes - newest["seconds"] / 60)
        if plan.time_budget is not None
        else OVERHEAD,
        may_go_on=plan.max_steps is None or newest["step"] < plan.max_steps,
        own_order=None if plan.shape.fitted else getattr(plan.config.model, "order", None),
        first_weights=first_weights(plan.config.model),
        **curve_evidence(log),
    )
    if data.split.held_out:
        counts = plan.text_index.best_counts(data.train, data.validation, data.tokenizer)
        report["counts"] = counts.to_json()
        seen = plan.shape.context_length if plan.shape.examples == "windows" else None
        evidence = beside_counts(evidence, nats, counts, data.validation, log, seen)
        if evidence.mixture is not None and evidence.mixture.worthwhile:
            report["mixture"] = evidence.mixture.to_json()
    report["verdict"] = judge(evidence).to_json()
    run.path = lock.followed()
    write_json(run.path / "report.json", report)


def _of_a_start(start: Start, run: StoredRun, model: LanguageModel) -> dict[str, Any]:
    """The loss on the validation part of the base's text, before and now; and the adapter."""
    found: dict[str, Any] = {}
    if start.old is not None:
        now = evaluate(model, start.old.validation).to_json()
        found["old_text"] = {"name": start.old.name, "before": start.facts.get("nats"), **now}
    if (weights := run.path / ADAPTER / WEIGHTS).exists():
        found["adapter"] = {"path": ADAPTER, "sha256": sha256_of(weights)}
    return found


def parts_alone(
    model: LanguageModel,
    novelty: Novelty | None,
    losses: Mapping[str, Mapping[str, Any]],
    tokenizer: Tokenizer,
    index: TextIndex,
) -> tuple[str, ...]:
    """Of the trained parts of a model that copies, what each is worth alone, in a sentence.

    losses: of each part, by its name.
    """
    if novelty is None or not (novelty.copying or novelty.memorizing):
        return ()
    sentences = []
    for name, part in model.parts.items():
        if not part.fitted:
            own = measure_novelty(part, tokenizer, index)
            copies = "copies" if own.copying or own.memorizing else "does not copy"
            nats = f"{losses[name]['nats']:.4f}"
            sentences.append(f"its {name} alone {copies}: {nats} nats per token (--part {name})")
    return tuple(sentences)


def curve_evidence(log: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The first loss and the last validation loss of a log."""
    first = next((r["loss"] for r in log if r["step"] == 1), None)
    if first is None:  # no step was made
        first = next((r.get("val_loss") for r in log if r["step"] == 0), None)
    last = next((r["val_loss"] for r in reversed(log) if r.get("val_loss") is not None), None)
    return {"first_loss": first, "last_loss": last}


def beside_counts(
    evidence: Evidence,
    nats: Floats,
    counts: Counts,
    part: Part,
    log: Sequence[Mapping[str, Any]] = (),
    seen: int | None = None,
) -> Evidence:
    """The evidence with the best counts of the same text, and a mixture with them.

    nats: of each token of the validation part, by the model. seen: the tokens that a prediction of the
    model is made from, where they are so few whatever the text.
    """
    if not math.isfinite(evidence.loss):
        return evidence
    behind, error = paired(nats, counts.nats, part)
    beside = AgainstCounts(
        order=counts.order, loss=counts.loss, behind=behind, error=error, share=counts.share
    )
    evidence = replace(evidence, counts=beside)
    if evidence.fitted:
        return evidence
    minutes = minutes_to_reach(log, counts.loss)
    if seen is not None and counts.loss_with(seen) > counts.loss + LESS_CONTEXT:
        minutes = math.inf  # what the counts are better by is further back than the model sees
    return replace(
        evidence,
        mixture=mix_with_counts(nats, counts.nats, part),
        minutes_to_counts=minutes,
    )


def minutes_to_reach(log: Sequence[Mapping[str, Any]], target: float) -> float | None:
    """The minutes of training after which the validation loss is down at `target`, by the curve of the
    losses so far; infinite where it does not get there, None where that is not known.

    The curve is that over the sum of the learning rates, as a schedule that ends flattens the one over
    the steps; a longer run with the same schedule has a sum that is larger in proportion.
    """
    steps = np.array([r["step"] for r in log], dtype=float)
    rates = np.array([r.get("lr") or 0.0 for r in log])
    progress = np.cumsum(rates * np.diff(steps, prepend=0.0))
    found = [
        (float(at), r["val_loss"])
        for at, r in zip(progress, log, strict=True)
        if r.get("val_loss") is not None and at > 0
    ]
    if not found:
        return None
    if len(found) < ENOUGH:  # by the training losses, as far above as the validation loss is
        records = zip(progress, log, strict=True)
        own = [(float(at), r["loss"]) for at, r in records if r["loss"] is not None]
        losses = smoothed(own)
        above = found[-1][1] - losses[-1][1]
        found = [(at, loss + above) for at, loss in losses]
    needed = progress_to_reach(found, target)
    if needed is None or not progress[-1]:
        return None
    return float(needed / progress[-1] * log[-1]["seconds"] / 60)
