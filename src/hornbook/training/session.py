"""`train` begins a run, `resume` continues one."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from hornbook.config import TrainingConfig, read_settings
from hornbook.data.training_data import tokenize
from hornbook.engine.device import deterministic_algorithms, use_threads
from hornbook.errors import ConfigError, RunError, counted
from hornbook.files import remove_partial_files, user_path, write_lines, write_tensors
from hornbook.machine import format_bytes
from hornbook.metrics.loss import Floats, mean_nats, mean_of, token_nats
from hornbook.models.base import LanguageModel
from hornbook.parallel.ranks import Ranks, joined
from hornbook.planning.describe import facts
from hornbook.planning.plan import Plan
from hornbook.planning.request import Request
from hornbook.planning.resolve import resolve
from hornbook.planning.resume import plan_of_run
from hornbook.planning.start import start_again
from hornbook.planning.tuning import STATES_ON_DISK
from hornbook.process import training_state
from hornbook.runs.commands import resume_command, start_command
from hornbook.runs.directory import (
    StoredRun,
    check_free,
    create,
    free_path,
    is_run,
    unfinished,
)
from hornbook.runs.listing import remove_run
from hornbook.runs.lock import Lock
from hornbook.stages import stage
from hornbook.training.callbacks.base import Callback
from hornbook.training.callbacks.checkpoints import Checkpoints
from hornbook.training.callbacks.early_stopping import EarlyStopping
from hornbook.training.callbacks.evaluation import Evaluator
from hornbook.training.callbacks.logging import LogWriter
from hornbook.training.callbacks.probes import Probes
from hornbook.training.callbacks.samples import Samples
from hornbook.training.callbacks.speed import SpeedWatch
from hornbook.training.callbacks.time_budget import TimeBudgetCallback
from hornbook.training.changes import ChangedRun, changed_run
from hornbook.training.checkpoint import has_state
from hornbook.training.loop import Trainer
from hornbook.training.report import write_report
from hornbook.training.restore import restore
from hornbook.training.together import (
    check_alike,
    earlier_run,
    finished_as_told,
    planned_as_told,
    run_as_told,
    share_state,
    told,
)


@training_state("train")
def train(
    request: Request,
    *,
    out: str | Path | None = None,
    callbacks: Sequence[Callback] = (),
    overwrite: bool = False,
) -> StoredRun:
    """Trains what was requested and returns its run.

    out: the run directory to make; `runs/<corpus>-<model>` if left out. overwrite: an earlier run
    there is removed when training begins. Seeds torch's global
    generator. Raises ConfigError, DataError or RunError, the last also where another training runs
    in this process; Interrupted after the state was saved on Ctrl-C.
    """
    if out is not None:
        out = user_path(out, ConfigError)
    with joined(str(request.requested("training", "device") or "auto")) as ranks:
        request = replace(request, ranks=ranks)
        if not ranks.is_first:
            return _train_with_first(ranks, request)
        earlier = earlier_run(request, out, overwrite=overwrite) if ranks.launched else None
        if earlier is not None:
            return _resume(earlier, ranks, callbacks=callbacks)
        if out is not None and not (overwrite and is_run(out)):
            check_free(out)
        plan = resolve(request)
        path, taken = (
            (out, None) if out else free_path(f"{plan.data.corpus.name}-{plan.config.model.name}")
        )
        with _announced(plan, callbacks):
            if taken is not None and (note := unfinished(taken)):
                for callback in callbacks:
                    callback.on_message(note)
            if plan.shape.fitted:
                counted = _fit(plan)
                n_parameters = counted[0].n_parameters
            else:
                _check_disk(plan, path)
                counted, n_parameters = None, plan.shape.n_parameters
            if overwrite and path.exists():
                remove_run(path)
            run = create(path, facts(plan, n_parameters), plan.config, plan.data.tokenizer)
            with Lock(path) as lock:
                return _train(plan, run, lock, callbacks, counted)


@training_state("resume")
def resume(
    path: str | Path,
    *,
    steps: int | None = None,
    settings: Mapping[str, Any] | None = None,
    callbacks: Sequence[Callback] = (),
) -> StoredRun:
    """Continues an interrupted run, or trains one to more `steps` in total than it was given.

    settings: dotted; learning rates and clipping of `optim` may be changed, for a run that diverged.
    A finished run of which nothing is changed is returned as it is, with a message to `callbacks`.
    Raises RunError where there is nothing to resume from or another process trains it, DataError
    where the corpus has changed.
    """
    with joined() as ranks:
        if not ranks.is_first:
            return _train_with_first(ranks)
        return _resume(path, ranks, steps=steps, settings=settings, callbacks=callbacks)


def _resume(
    path: str | Path,
    ranks: Ranks,
    *,
    steps: int | None = None,
    settings: Mapping[str, Any] | None = None,
    callbacks: Sequence[Callback] = (),
) -> StoredRun:
    """Continues a run, with other ranks where there are any: this is the first."""
    known = StoredRun.load(path)  # what is no run gets no lock
    with Lock(known.path) as lock:
        run = StoredRun.load(known.path)
        remove_partial_files(run.path)
        finished, requested = _is_finished(run), steps is not None or bool(settings)
        if run.report and not has_state(run.path) and (requested or not finished):
            raise RunError(
                f"{run.path}: found no state to resume from (last/state.json); it is finished"
            )
        sections, renamed = read_settings(settings or {})
        changed = changed_run(run, steps, sections)
        if finished and not changed.changed:
            for callback in callbacks:
                callback.on_message(_nothing_to_do(run))
            ranks.on_first(lambda: finished_as_told(run))
            return run
        unknown = run.config.finetuning.unknown
        data = tokenize(run.corpus(), run.config.data, run.tokenizer, unknown)
        start, old = start_again(run, data.tokenizer, begun=has_state(run.path))
        notes = (*renamed, *changed.notes, *old, *([lock.stale] if lock.stale else []))
        plan = plan_of_run(
            changed.config, run.facts, data, changed.schedule, notes, start=start, ranks=ranks
        )
        with _announced(plan, callbacks):
            counted = _fit(plan) if plan.shape.fitted else None
            return _train(plan, run, lock, callbacks, counted, changed)


def _is_finished(run: StoredRun) -> bool:
    """Whether a run has its report and its weights; damaged weights are made again."""
    with suppress(RunError):
        return bool(run.report and run.model)
    return False


def _nothing_to_do(run: StoredRun) -> str:
    """That a run is finished, and what could be done with it."""
    done = run.report["steps"]
    if run.imported:
        command = start_command(run.path, "TEXT")
        return f"nothing to do: {run.path} was imported; to train it on a text: {command}"
    message = f"nothing to do: {run.path} is finished, {counted(done, 'step')}"
    if not has_state(run.path):  # counted, or mixed: it cannot be trained further
        return message
    more = 2 * done or TrainingConfig().steps
    return f"{message}. To train it further: {resume_command(run.path, f'--steps {more}')}"


@contextmanager
def _announced(plan: Plan, callbacks: Sequence[Callback]) -> Iterator[None]:
    """Passes a plan to all callbacks and uses its threads; closes the callbacks in any case."""
    try:
        for callback in callbacks:
            callback.on_plan(plan)
        with use_threads(plan.threads):
            yield
    finally:
        for callback in callbacks:
            callback.close()


def callbacks_of(plan: Plan, users: Sequence[Callback], *, save_first: bool) -> list[Callback]:
    """All callbacks of a run in their order: those that make its figures, those of the user, and last
    those that comment on a record, after the user has seen it."""
    training = plan.config.training
    first: list[Callback] = []
    if plan.time_budget is not None:
        first.append(TimeBudgetCallback(plan.time_budget))
    if training.probe_every and plan.ranks.is_first:  # of its share of the batch
        first.append(Probes(plan))
    return [
        *first,
        Checkpoints(at_start=save_first),
        Evaluator(training.eval_count),
        LogWriter(),
        Samples(training.sample_count),
        *users,
        EarlyStopping(),
        SpeedWatch(plan),
    ]


def _train(
    plan: Plan,
    run: StoredRun,
    lock: Lock,
    users: Sequence[Callback],
    counted: tuple[LanguageModel, float] | None,
    resumed: ChangedRun | None = None,
) -> StoredRun:
    """Trains from the start, or a resumed run from its newest state, and writes the report.

    counted: a count model that is fitted, and the seconds that took. Called on the first of several
    ranks; it tells the others what to do.
    """
    if counted is not None:
        with stage("measuring the final figures"):
            nats = _write_counts(plan, run, lock, users, *counted)
            write_report(plan, run, lock, nats=nats)
        plan.ranks.on_first(lambda: finished_as_told(run))
    else:
        changed = resumed is not None and resumed.changed
        if plan.ranks.many:
            message = told(plan, run, resumed=resumed is not None, changed=changed)
            plan.ranks.on_first(lambda: message)
            plan.ranks.one_after_other(lambda: None)
        _make_steps(plan, run, lock, users, changed=changed, restore=_restoration(resumed))
    for callback in users:
        callback.on_report(run)
    return run


def _restoration(resumed: ChangedRun | None) -> Callable[[Trainer], None] | None:
    """Puts a trainer where a run was stopped, and those of the other ranks; None for a new run."""
    if resumed is None:
        return None

    def put(trainer: Trainer) -> None:
        restore(trainer, resumed)
        share_state(trainer)

    return put


def _train_with_first(ranks: Ranks, request: Request | None = None) -> StoredRun:
    """Trains as another rank than the first what that has planned; returns the same run. request: of a
    new run, that of this rank."""
    message: dict[str, Any] = ranks.on_first(dict)
    if message["finished"]:
        return run_as_told(message)
    check_alike(message, request)
    plan, run = ranks.one_after_other(lambda: planned_as_told(ranks, message))
    with _announced(plan, ()):
        _make_steps(
            plan, run, Lock(run.path), (),
            changed=message["changed"], restore=share_state if message["resumed"] else None,
        )  # fmt: skip
    return run


def _make_steps(
    plan: Plan,
    run: StoredRun,
    lock: Lock,
    users: Sequence[Callback],
    *,
    changed: bool,
    restore: Callable[[Trainer], None] | None,
) -> None:
    """All steps that are left, then the report.

    changed: settings or steps are others than in the newest state. restore: puts the trainer there.
    """
    with deterministic_algorithms(plan.config.training.deterministic):
        callbacks = callbacks_of(plan, users, save_first=changed)
        trainer = Trainer(plan, run, lock, callbacks)
        if restore is not None:
            restore(trainer)
        trainer.train()

        with trainer.step.whole() as last:

            def report() -> str:
                with stage("measuring the final figures"):
                    evaluators = [c for c in callbacks if isinstance(c, Evaluator)]
                    best = evaluators[0].best_nats
                    write_report(plan, run, lock, trainer.state, last, best)
                return str(run.path)

            run.path = Path(plan.ranks.on_first(report))


def _fit(plan: Plan) -> tuple[LanguageModel, float]:
    """A count model fitted to the training part, and the seconds that took."""
    begin = time.perf_counter()
    return plan.build_model(), time.perf_counter() - begin


def _write_counts(
    plan: Plan,
    run: StoredRun,
    lock: Lock,
    callbacks: Sequence[Callback],
    model: LanguageModel,
    seconds: float,
) -> Floats:
    """Writes weights and log of a count model: one pass, one record. Returns the nats of each token of
    the validation part."""
    for callback in callbacks:
        callback.on_start(run, 0, 1)
    n_tokens = plan.data.train.n_targets
    timed = plan.config.training.minutes is not None
    nats = token_nats(model, plan.data.validation)
    record = {
        "step": 1,
        "tokens": n_tokens,
        "seconds": seconds,
        "loss": mean_nats(model, (timed and plan.training_sample) or [plan.data.train]),
        "val_loss": mean_of(nats, plan.data.validation),
        "tokens_per_second": n_tokens / max(seconds, 1e-9),
    }
    run.path = lock.followed()
    write_tensors(run.path / "model.safetensors", model.state_dict())
    write_lines(run.path / "log.jsonl", [record])
    for callback in callbacks:
        callback.on_log(record)
    return nats


def _check_disk(plan: Plan, path: Path) -> None:
    """Raises RunError where the states of a run do not fit on its disk."""
    above = next(p for p in path.absolute().parents if os.path.exists(p))
    weights = plan.memory.weights if plan.memory else 0
    needed, free = STATES_ON_DISK * weights, shutil.disk_usage(above).free
    if needed > free:
        raise RunError(
            f"{path}: the run needs {format_bytes(needed)} of disk, found "
            f"{format_bytes(free)} free; free some space or give another directory (--out)"
        )
