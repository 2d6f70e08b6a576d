"""report.json: what the best weights are worth, measured once at the end."""

from __future__ import annotations

import copy
from typing import Any

import torch

from hornbook.files import write_json
from hornbook.kernels.install import install
from hornbook.metrics.loss import evaluate
from hornbook.metrics.novelty import novelty_report
from hornbook.metrics.typicality import HeldOutTexts
from hornbook.models.base import LanguageModel
from hornbook.planning.plan import Plan
from hornbook.runs.directory import StoredRun
from hornbook.runs.lock import Lock
from hornbook.training.callbacks.samples import draw_samples
from hornbook.training.state import TrainingState

KEPT = 20  # samples in the report


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
    where = f"on this machine, with torch {torch.__version__} and {threads}"
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
) -> None:
    """Measures the best weights and writes report.json, wherever the run was moved meanwhile.

    state, last: of a run that was trained in steps, its state and its last weights.
    """
    run.path = lock.followed()
    model = run.model if plan.device.type == "cpu" else copy.deepcopy(run.model).to(plan.device)
    if not plan.config.training.reference:
        install(model)
    validation = evaluate(model, plan.data.validation)
    parts = {n: evaluate(part, plan.data.validation).to_json() for n, part in model.parts.items()}
    log, documents = run.log, plan.data.documents
    samples = draw_samples(plan, model, KEPT)
    newest = log[-1] if log else {"step": 0, "tokens": 0, "seconds": 0}
    best_step = newest["step"] if state is None else state.history.best_step
    best = next((r for r in log if r["step"] == best_step), {})
    report: dict[str, Any] = {
        "steps": newest["step"],
        "best_step": best_step,
        "tokens": newest["tokens"],
        "seconds": newest["seconds"],
        "loss": best.get("loss"),
        "train_loss": best.get("train_loss"),
        "validation": validation.to_json(),
        "held_out": plan.data.split.held_out,
        "held_out_texts": HeldOutTexts.measure(
            model, run.tokenizer, plan.data.validation
        ).to_json(),
        "determinism": determinism(plan),
        "samples": samples,
    }
    if parts:
        report["parts"] = parts
    if state is not None and len(state.schedule.segments) > 1:
        report["schedule"] = [list(segment) for segment in state.schedule.segments]
    if documents:
        made, known = set(samples) - {""}, set(plan.data.corpus.documents)
        report["samples_different"], report["samples_new"] = len(made), len(made - known)
    others = last if best_step != newest["step"] else None
    report["novelty"] = novelty_report(
        model, others, run.tokenizer, plan.text_index, best_step, newest["step"]
    )
    run.path = lock.followed()
    write_json(run.path / "report.json", report)
