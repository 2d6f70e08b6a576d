"""report.json: what the best weights are worth, measured once at the end."""

from __future__ import annotations

import copy
from typing import Any

import torch

from hornbook.files import write_json
from hornbook.generate import sample
from hornbook.generate.sampling import make_generator
from hornbook.kernels import install, uninstall
from hornbook.metrics.loss import evaluate
from hornbook.metrics.novelty import assess, rehearse
from hornbook.planning.plan import Plan
from hornbook.runs.directory import StoredRun
from hornbook.runs.lock import Lock

KEPT = 20  # samples in the report
SAMPLE_TOKENS = 200  # of a stream
SAYING = 0.3  # seconds to write it and to say what came of it


def determinism(plan: Plan) -> str:
    """What another training with the same settings would equal this one in."""
    if plan.model.fitted:
        return "bitwise: counts are the same everywhere"
    if plan.device.type != "cpu" and not plan.config.training.deterministic:
        return (
            f"statistical: a {plan.device.type} device adds in no fixed order (--deterministic "
            "makes it, slower)"
        )
    where = f"on this machine, with torch {torch.__version__} and {torch.get_num_threads()} threads"
    if plan.compiled != "no":
        return "statistical: compiled; sums may be rounded otherwise another day (--reference is exact)"
    if plan.precision != "fp32":
        return f"bitwise {where}; elsewhere statistical, as {plan.precision} is rounded differently"
    return f"bitwise {where}; elsewhere statistical"


def seconds_of_report(plan: Plan) -> tuple[float, float]:
    """Seconds that an evaluation will take, and the report, which begins with one; what it compares
    samples with is made ready."""
    token, novelty = rehearse(plan.model, plan.tokenizer, plan.reference)
    evaluation = token * plan.val_part.n_targets
    # it also shows samples, may look at the last weights, too, and what came of it is said
    return evaluation, evaluation + 2 * novelty + SAYING


def write_report(plan: Plan, run: StoredRun, lock: Lock, best_step: int | None = None) -> None:
    """Measures the best weights, those of update `best_step`, and writes report.json, wherever the
    run was moved meanwhile."""
    run.path = lock.followed()
    model = run.model if plan.device.type == "cpu" else copy.deepcopy(run.model).to(plan.device)
    (uninstall if plan.config.training.reference else install)(model)
    validation = evaluate(model, plan.val_part)
    log = run.log
    documents = plan.split.documents
    samples = sample(
        model,
        run.tokenizer,
        n=KEPT if documents else 1,
        max_tokens=SAMPLE_TOKENS,
        generator=make_generator(plan.config.training.seed),
    )
    known = set(plan.corpus.documents)
    best_step = log[-1]["step"] if best_step is None else best_step
    best = next((r for r in log if r["step"] == best_step), {})
    report: dict[str, Any] = {
        "steps": log[-1]["step"] if log else 0,
        "best_step": best_step,
        "tokens": log[-1]["tokens"] if log else 0,
        "seconds": log[-1]["seconds"] if log else 0,
        "loss": best.get("loss"),
        "validation": validation.to_json(),
        "held_out": plan.split.held_out,
        "determinism": determinism(plan),
        "samples": [s.text for s in samples],
    }
    if documents:
        made = {s.text for s in samples} - {""}
        report["samples_different"], report["samples_new"] = len(made), len(made - known)
    others = not plan.model.fitted and report["best_step"] != report["steps"]
    last = plan.model if others else None
    report["novelty"] = assess(
        model, last, run.tokenizer, plan.reference, report["best_step"], report["steps"]
    )
    run.path = lock.followed()
    write_json(run.path / "report.json", report)
