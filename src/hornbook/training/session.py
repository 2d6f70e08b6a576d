"""The ways in: `train` begins a run, `resume` goes on with one."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from hornbook.config import Nested, OptimConfig, TrainingConfig, read_settings
from hornbook.errors import ConfigError, RunError
from hornbook.files import sweep, user_path, write_json, write_lines, write_tensors
from hornbook.machine import size
from hornbook.metrics.loss import evaluate
from hornbook.planning.memory import check_memory, weights_bytes
from hornbook.planning.minutes import plan_in_time
from hornbook.planning.plan import Plan, make_plan, plan_of_run, refuse_two
from hornbook.runs.directory import StoredRun, check_free, create, free_path, saved_step, unfinished
from hornbook.runs.lock import Lock
from hornbook.training.callbacks import Callback
from hornbook.training.loop import Loop
from hornbook.training.probing import Recorder
from hornbook.training.report import write_report
from hornbook.training.state import has_state

CHANGEABLE = ("learning_rate", "muon_learning_rate", "grad_clip")  # of a run that goes on
STATES = 3  # on the disk at once, while one is written


def train(
    corpus: str | None = None,
    *,
    model: str | None = None,
    preset: str | Nested | None = None,
    steps: int | None = None,
    seed: int | None = None,
    out: str | Path | None = None,
    device: str | None = None,
    precision: str | None = None,
    minutes: float | None = None,
    began: float | None = None,
    settings: Mapping[str, Any] | None = None,
    callbacks: Sequence[Callback] = (),
) -> StoredRun:
    """Trains a model on a corpus (a registry name or a path) and returns its run.

    preset: a name, or sections of fields in place of one.
    settings: dotted fields, such as `{"model.n_layer": 4}`, or sections of fields, as in TOML.
    minutes: ends after so many, and chooses size, context, batch and updates for it, unless they are
        asked for. They count from `began` (time.monotonic()), by default from this call.
    out: the run directory to make; `runs/<corpus>-<model>` if left out.
    Seeds torch's global generator. Raises ConfigError, DataError or RunError; Interrupted after the
    state was saved on Ctrl-C.
    """
    flags = {
        "steps": steps, "minutes": minutes, "seed": seed, "device": device, "precision": precision,
    }  # fmt: skip
    training = {name: value for name, value in flags.items() if value is not None}
    sections, renamed = read_settings(settings or {})
    for name, value in training.items():
        refuse_two(f"--{name}", value, f"training.{name}", sections.get("training", {}).get(name))
    sections["training"] = {**sections.get("training", {}), **training}
    if out is not None:
        out = user_path(out, ConfigError)
        check_free(out)
    if (minutes := sections["training"].get("minutes")) is not None:
        checked = TrainingConfig.parse({"minutes": minutes}, "training").minutes
        assert checked is not None
        began = time.monotonic() if began is None else began
        plan = plan_in_time(checked, began, corpus, model=model, preset=preset, settings=sections)
    else:
        plan = make_plan(corpus, model=model, preset=preset, settings=sections)
    plan.notes += renamed
    plan.memory = check_memory(plan)
    if isinstance(out, Path):
        path = out
    else:
        path, taken = free_path(f"{plan.corpus.name}-{plan.config.model.name}")
        if taken is not None and (note := unfinished(taken)):
            plan.notes.append(note)
    callbacks = _told(plan, callbacks)
    _check_disk(plan, path)
    run = create(path, plan.facts(), plan.config, plan.tokenizer)
    with Lock(path) as lock:
        return _run(plan, run, callbacks, lock, fresh=True)


def resume(
    path: str | Path,
    *,
    steps: int | None = None,
    settings: Mapping[str, Any] | None = None,
    callbacks: Sequence[Callback] = (),
) -> StoredRun:
    """Goes on with an interrupted run, or on to more `steps` in all than it was given.

    settings: dotted; the rates and the clipping of `optim` may be changed, for a run that diverged.
    Raises RunError where there is nothing to resume from or another process trains it, DataError
    where the corpus has changed.
    """
    known = StoredRun.load(path)  # what is no run gets no lock
    with Lock(known.path) as lock:
        run = StoredRun.load(known.path)
        sweep(run.path)
        _check_resumable(run)
        sections, notes = read_settings(settings or {})
        config = run.config
        for section, fields in sections.items():
            if section != "optim" or (other := sorted(fields.keys() - set(CHANGEABLE))):
                name = f"{section}.{next(iter(fields)) if section != 'optim' else other[0]}"
                raise ConfigError(
                    f"{name}: found it beside --resume; a run goes on with its own settings, only "
                    f"--steps and optim.{', optim.'.join(CHANGEABLE)} can be changed"
                )
            optim = OptimConfig.parse({**config.optim.model_dump(), **fields}, "optim")
            config = config.model_copy(update={"optim": optim})
            notes += [f"optim.{name} is {getattr(optim, name)} from here on" for name in fields]
        if steps is not None:
            fields = {**config.training.model_dump(), "steps": steps}
            training = TrainingConfig.parse(fields, "training")
            done = saved_step(run.path) or 0
            if training.steps < done:
                raise ConfigError(
                    f"steps: found {training.steps}, but {done} updates are done; --steps is the "
                    f"total, give {done} or more"
                )
            if training.steps != config.training.steps:
                notes.append(
                    f"{training.steps:,} updates instead of {config.training.steps:,}: the learning "
                    "rate follows the schedule of the new total from here on"
                )
                optim = config.optim.model_copy(update={"paces": ()})
                config = config.model_copy(update={"optim": optim})
            config = config.model_copy(update={"training": training})
        plan = plan_of_run(config, run.corpus(), run.tokenizer)
        hardware = run.facts["hardware"]
        plan.precision, plan.why_precision = hardware["precision"], "as before"
        plan.compiled, plan.why_compiled = hardware.get("compiled", "no"), "as before"
        plan.memory = check_memory(plan)
        plan.extended = config.training.steps > run.config.training.steps
        if config.training.minutes is not None:
            notes.append(
                f"its {config.training.minutes:g} minutes are not counted any more: "
                f"{config.training.steps:,} updates in all"
            )
        plan.notes += [*notes, *_elsewhere(run, plan)]
        if lock.stale:
            plan.notes.append(lock.stale)
        if config != run.config:
            run = StoredRun(
                run.path, {**run.facts, "config": config.model_dump(mode="json")}, config
            )
        return _run(plan, run, _told(plan, callbacks), lock, fresh=False)


def _check_resumable(run: StoredRun) -> None:
    """Raises RunError where there is nothing to go on to, or the state is gone."""
    if has_state(run.path):
        return
    if run.report:
        raise RunError(
            f"{run.path}: found no state to resume from (last/state.json); it is finished"
        )


def _elsewhere(run: StoredRun, plan: Plan) -> list[str]:
    """What makes the rest of a run equal only in the statistics to one that was not interrupted."""
    before, now = run.facts["hardware"]["threads"], torch.get_num_threads()
    if plan.on_one_thread:
        before = now
    version = run.facts["versions"].get("torch")
    changed = [
        f"{what} {was} before, {is_now} now"
        for what, was, is_now in (("threads", before, now), ("torch", version, torch.__version__))
        if was not in (None, is_now)
    ]
    if not changed:
        return []
    return [f"{' and '.join(changed)}: rounded otherwise, not bit for bit as without a stop"]


def _check_disk(plan: Plan, path: Path) -> None:
    """Raises RunError where the states of a run do not fit on its disk."""
    above = next(p for p in path.absolute().parents if os.path.exists(p))
    needed, free = STATES * weights_bytes(plan), shutil.disk_usage(above).free
    if needed > free:
        raise RunError(
            f"{path}: the run needs {size(needed)} of disk, found {size(free)} free; free some "
            "space or give another place (--out)"
        )


def _told(plan: Plan, callbacks: Sequence[Callback]) -> Sequence[Callback]:
    """The callbacks, with the probes where they are asked for, all told of the plan."""
    if plan.config.training.probe_every:
        callbacks = (*callbacks, Recorder())
    for callback in callbacks:
        callback.planned(plan)
    return callbacks


def _run(
    plan: Plan, run: StoredRun, callbacks: Sequence[Callback], lock: Lock, *, fresh: bool
) -> StoredRun:
    try:
        with _deterministic(plan.config.training.deterministic):
            best_step = None
            if plan.model.fitted:
                _fit(plan, run, callbacks, lock)
            else:
                loop = Loop(plan, run, callbacks, lock, fresh=fresh)
                loop.run()
                run, best_step = loop.run_, loop.progress.watch.best_step
            write_report(plan, run, lock, best_step)
        for callback in callbacks:
            callback.finished(run)
    finally:
        for callback in callbacks:
            callback.ended()
    return run


def _fit(plan: Plan, run: StoredRun, callbacks: Sequence[Callback], lock: Lock) -> None:
    """Fits a count model: one pass, one record."""
    for callback in callbacks:
        callback.opened(lambda write: write(lock.followed()), callback.told)
        callback.started(run, 0, 1)
    begin = time.perf_counter()
    tokens = torch.from_numpy(plan.train_part.tokens.astype("int64"))
    plan.model.fit(tokens, torch.from_numpy(plan.train_part.starts))
    seconds = time.perf_counter() - begin
    run.path = lock.followed()
    write_tensors(run.path / "model.safetensors", plan.model.state_dict())
    run.facts = {**run.facts, "n_parameters": plan.model.n_parameters}
    write_json(run.path / "config.json", run.facts)
    record = {
        "step": 1,
        "tokens": plan.train_part.n_targets,
        "seconds": seconds,
        "loss": evaluate(plan.model, plan.train_part).nats,
        "val_loss": evaluate(plan.model, plan.val_part).nats,
        "tokens_per_second": plan.train_part.n_targets / max(seconds, 1e-9),
    }
    run.path = lock.followed()
    write_lines(run.path / "log.jsonl", [record])
    for callback in callbacks:
        callback.logged(record)


@contextmanager
def _deterministic(wanted: bool) -> Iterator[None]:
    """Only operations that give the same bits every time; torch refuses the others."""
    if not wanted:
        yield
        return
    before = torch.are_deterministic_algorithms_enabled()
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # what cuBLAS wants for it
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
