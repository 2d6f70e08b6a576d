"""Puts a trainer where the newest whole state of its run is, and cuts the log there."""

from __future__ import annotations

import math

from hornbook.errors import RunError, counted
from hornbook.files import read_tensors, remove, write_lines
from hornbook.models.registry import build_on_meta
from hornbook.runs.directory import SAMPLES
from hornbook.training.callbacks.base import TrainerBase
from hornbook.training.changes import ChangedRun
from hornbook.training.checkpoint import has_state, load_state


def restore(trainer: TrainerBase, changed: ChangedRun) -> None:
    """Loads the state of a run; the records after it are made again.

    Raises RunError where no state is whole.
    """
    path, state = trainer.run.path, trainer.state
    if has_state(path) or _has_trained(trainer):
        if message := load_state(path, trainer.step, state):
            trainer.notify(message)
        if changed.extended and state.history.out_of_patience:
            state.history.since_best = 0
            trainer.notify(
                f"stopped early at step {state.step:,}: continuing; patience starts again at 0"
            )
        state.stopped = state.history.out_of_patience
        _check_best(trainer)
    else:
        trainer.notify("stopped before its first state was saved: it begins again, to the same end")
    state.overrides = changed.overrides
    damage: list[str] = []
    log = trainer.run.read_log(damage)
    if len(log) < state.records:
        lost = state.records - len(log)
        where = damage[0] if damage else f"{path}/log.jsonl"
        trainer.notify(
            f"{where}: without its last {counted(lost, 'record')}; the weights are whole"
        )
        state.records = len(log)
    if not state.finished:  # a report of fewer steps would say that it is finished
        remove(path / "report.json")
    kept = log[: state.records]
    write_lines(path / "log.jsonl", kept)
    if samples := [s for s in trainer.run.samples if s["step"] <= state.step]:
        write_lines(path / SAMPLES, samples)
    else:
        remove(path / SAMPLES)
    state.losses = [r["loss"] for r in kept if r["loss"] is not None]
    state.recorded = kept[-1]["seconds"] if kept else 0.0


def _has_trained(trainer: TrainerBase) -> bool:
    """Whether there are weights of a later step than 0, at which a base, or counts, are kept."""
    if not (trainer.run.path / "model.safetensors").exists():
        return False
    log = trainer.run.read_log([])
    return not log or any(r["step"] > 0 and r.get("val_loss") is not None for r in log)


def _check_best(trainer: TrainerBase) -> None:
    """Forgets the best loss where its weights are damaged or gone: others are to be kept."""
    history = trainer.state.history
    if math.isinf(history.best):
        return
    plain = trainer.step.model
    if trainer.plan.config.finetuning.lora_rank:  # the file has merged weights
        plain = build_on_meta(plain.config, plain.vocab_size, plain.end_id)
    try:
        read_tensors(
            trainer.run.path / "model.safetensors",
            lambda header: plain.check_weights(header.tensors),
        )
    except RunError as error:
        trainer.notify(
            f"{error}. Those of step {history.best_step:,} were the best: from here on the best of "
            "the evaluations to come are kept, or else the last"
        )
        history.best = math.inf
