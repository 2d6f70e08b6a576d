"""The training loop, short enough to read aloud: update, log, now and then save, evaluate, sample."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from hornbook.config import TrainingConfig, parse_overrides
from hornbook.data.text import Corpus
from hornbook.diagnostics.novelty import assess
from hornbook.errors import ConfigError, RunError
from hornbook.evaluate import evaluate, token_nats
from hornbook.files import dump, read_json, write_json, write_lines
from hornbook.generate import sample
from hornbook.run import Run, check_free, create, free_path, make_generator, write_tensors
from hornbook.training.callbacks import Callback
from hornbook.training.device import autocast
from hornbook.training.plan import Plan, make_plan, plan_of_run, refuse_two
from hornbook.training.probing import Recorder
from hornbook.training.state import Progress, load_state, save_state
from hornbook.training.step import TrainStep
from hornbook.training.watch import Watch

RECORDS = 200  # entries in the log of a whole run
SHOWN = 3  # samples shown now and then
KEPT = 20  # samples in the report
SAMPLE_TOKENS = 200  # of a stream


class Interrupted(KeyboardInterrupt):
    """Training was interrupted and its state saved."""

    def __init__(self, run: Run, step: int, number: int = signal.SIGINT) -> None:
        super().__init__(
            f"interrupted after update {step}; its state is saved. To go on:\n"
            f"  hornbook train --resume {run.path}"
        )
        self.run, self.step, self.signal = run, step, number


def train(
    corpus: str | None = None,
    *,
    model: str | None = None,
    preset: str | None = None,
    steps: int | None = None,
    seed: int | None = None,
    out: str | Path | None = None,
    device: str | None = None,
    precision: str | None = None,
    settings: Mapping[str, Any] | None = None,
    callbacks: Sequence[Callback] = (),
) -> Run:
    """Trains a model on a corpus (a registry name or a path) and returns its run.

    settings: dotted fields, such as `{"model.n_layer": 4}`, or sections of fields, as in TOML.
    out: the run directory to make; `runs/<corpus>-<model>` if left out.
    Seeds torch's global generator. Raises ConfigError, DataError or RunError; Interrupted after the
    state was saved on Ctrl-C.
    """
    flags = {"steps": steps, "seed": seed, "device": device, "precision": precision}
    training = {name: value for name, value in flags.items() if value is not None}
    sections = _sections(settings or {})
    for name, value in training.items():
        refuse_two(f"--{name}", value, f"training.{name}", sections.get("training", {}).get(name))
    sections["training"] = {**sections.get("training", {}), **training}
    if out is not None:
        check_free(Path(out))
    plan = make_plan(corpus, model=model, preset=preset, settings=sections)
    callbacks = _told(plan, callbacks)
    path = (
        Path(out) if out is not None else free_path(f"{plan.corpus.name}-{plan.config.model.name}")
    )
    run = create(path, plan.facts(), plan.config, plan.tokenizer)
    return _run(plan, run, callbacks, fresh=True)


def resume(
    path: str | Path, *, steps: int | None = None, callbacks: Sequence[Callback] = ()
) -> Run:
    """Goes on with an interrupted run, or on to more `steps` in all than it was given.

    Raises RunError where there is nothing to resume from, DataError where the corpus has changed.
    """
    run = Run.load(path)
    config = run.config
    if not (run.path / "last" / "state.json").exists():
        raise RunError(f"{path}: found no state to resume from (last/state.json)")
    if steps is not None:
        fields = {**config.training.model_dump(), "steps": steps}
        training = TrainingConfig.parse(fields, "training")
        done = int(read_json(run.path / "last" / "state.json").get("step", 0))
        if training.steps < done:
            raise ConfigError(
                f"steps: found {training.steps}, but {done} updates are done; --steps is the total, "
                f"give {done} or more"
            )
        config = config.model_copy(update={"training": training})
    corpus: Corpus = run.corpus()
    plan = plan_of_run(config, corpus, run.tokenizer)
    plan.precision, plan.why_precision = run.facts["hardware"]["precision"], "as before"
    if config != run.config:
        plan.notes.append(
            f"{config.training.steps:,} updates instead of {run.config.training.steps:,}: the "
            "learning rate follows the schedule of the new total from here on"
        )
        run = Run(run.path, {**run.facts, "config": config.model_dump(mode="json")}, config)
    return _run(plan, run, _told(plan, callbacks), fresh=False)


def _told(plan: Plan, callbacks: Sequence[Callback]) -> Sequence[Callback]:
    """The callbacks, with the probes where they are asked for, all told of the plan."""
    if plan.config.training.probe_every:
        callbacks = (*callbacks, Recorder())
    for callback in callbacks:
        callback.planned(plan)
    return callbacks


def _sections(settings: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    dotted = {name: value for name, value in settings.items() if not isinstance(value, Mapping)}
    sections = {name: dict(value) for name, value in settings.items() if isinstance(value, Mapping)}
    for section, fields in parse_overrides(dotted).items():
        sections.setdefault(section, {}).update(fields)
    return sections


def _run(plan: Plan, run: Run, callbacks: Sequence[Callback], *, fresh: bool) -> Run:
    try:
        if plan.model.fitted:
            _fit(plan, run, callbacks)
        else:
            _Loop(plan, run, callbacks, fresh=fresh).run()
        _report(plan, run)
        for callback in callbacks:
            callback.finished(run)
    finally:
        for callback in callbacks:
            callback.ended()
    return run


def _fit(plan: Plan, run: Run, callbacks: Sequence[Callback]) -> None:
    """Fits a count model: one pass, one record."""
    for callback in callbacks:
        callback.started(run, 0, 1)
    begin = time.perf_counter()
    tokens = torch.from_numpy(plan.train_part.tokens.astype("int64"))
    plan.model.fit(tokens, torch.from_numpy(plan.train_part.starts))
    seconds = time.perf_counter() - begin
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
    _append(run, record)
    for callback in callbacks:
        callback.logged(record)


class _Loop:
    """Updates from where the state stands to the last, with what is done in between."""

    def __init__(self, plan: Plan, run: Run, callbacks: Sequence[Callback], *, fresh: bool) -> None:
        self.plan, self.run_, self.callbacks = plan, run, callbacks
        training = plan.config.training
        self.steps = training.steps
        self.step = TrainStep(plan.model, plan.batches, plan.config, plan.precision)
        self.progress = Progress(Watch(patience=training.patience))
        if not fresh:
            self.progress = load_state(run.path, self.step)
            write_json(run.path / "config.json", run.facts)
            write_lines(run.path / "log.jsonl", run.log[: self.progress.records])
        self.log_every = max(1, self.steps // RECORDS)
        self.evaluate_at = _spread(self.steps, training.evaluations)
        self.sample_at = _spread(self.steps, training.samplings) - {self.steps}
        self.mark, self.recorded = time.perf_counter(), self.progress.seconds

    def run(self) -> None:
        """Trains. Raises Interrupted on the first Ctrl-C or SIGTERM, after saving the state."""
        for callback in self.callbacks:
            callback.started(self.run_, self.progress.step, self.steps)
        self.plan.model.train()
        with _signals() as caught:
            self.mark = time.perf_counter()
            if self.progress.step in self.evaluate_at and self.progress.pending:
                self.evaluate()  # stopped before it was finished
            while self.progress.step < self.steps and not self.progress.watch.should_stop:
                self.update()
                if caught:
                    self.save()
                    raise Interrupted(self.run_, self.progress.step, caught[0])
        self.save()

    def update(self) -> None:
        """One update, and what is due after it."""
        progress = self.progress
        for callback in self.callbacks:
            callback.updating(progress.step)
        progress.pending.append(self.step(progress.step))
        for callback in self.callbacks:
            callback.updated(progress.step)
        progress.step += 1
        progress.tokens = round(progress.step * self.plan.tokens_per_step)
        if progress.step in self.evaluate_at:
            self.evaluate()
        elif progress.step % self.log_every == 0 or progress.step == 1:
            self.log(self.flush())
        if progress.step in self.sample_at:
            self.show_samples()

    def clock(self) -> None:
        """Counts the time since it was last looked at as time of updates."""
        now = time.perf_counter()
        self.progress.seconds += now - self.mark
        self.mark = now

    def flush(self) -> dict[str, Any]:
        """The record of the updates since the last."""
        pairs = torch.stack([torch.stack(pair) for pair in self.progress.pending])
        losses, norms = pairs.double().T.tolist()
        self.clock()
        n, spent = len(losses), self.progress.seconds - self.recorded
        self.recorded = self.progress.seconds
        self.progress.pending = []
        if not all(map(math.isfinite, losses + norms)):
            raise RunError(
                f"{self.run_.path}: the loss or its gradient is no number any more near update "
                f"{self.progress.step}; lower the learning rate (--optim.learning-rate, now "
                f"{self.step.learning_rate(self.progress.step - 1):.2g}) or clip harder "
                "(--optim.grad-clip). The best weights so far are kept"
            )
        return {
            "step": self.progress.step,
            "tokens": self.progress.tokens,
            "seconds": round(self.progress.seconds, 3),
            "loss": sum(losses) / n,
            "lr": self.step.learning_rate(self.progress.step - 1),
            "grad_norm": sum(norms) / n,
            "tokens_per_second": round(n * self.plan.tokens_per_step / max(spent, 1e-9)),
        }

    def log(self, record: dict[str, Any]) -> None:
        """Writes a record and shows it."""
        _append(self.run_, record)
        self.progress.records += 1
        for callback in self.callbacks:
            callback.logged(record)

    def evaluate(self) -> None:
        """The validation loss over the whole part; keeps the weights where it is the best."""
        model, watch = self.plan.model, self.progress.watch
        self.save()
        record = self.flush()
        model.calibrate(self.plan.training_windows)
        with autocast(self.plan.device, self.plan.precision):
            record["val_loss"] = float(token_nats(model, self.plan.val_part).mean())
        if watch.evaluated(self.progress.step, record["loss"], record["val_loss"]):
            write_tensors(self.run_.path / "model.safetensors", model.state_dict())
        self.log(record)
        if message := watch.message():
            for callback in self.callbacks:
                callback.told(message)
        if watch.should_stop:
            for callback in self.callbacks:
                callback.told(
                    f"stopped at step {self.progress.step}: {watch.since_best} evaluations without "
                    f"a better validation loss than that of step {watch.best_step}"
                )
        self.mark = time.perf_counter()

    def show_samples(self) -> None:
        """A few samples of the model as it is; the generators of training are not touched."""
        model = self.plan.model
        samples = sample(
            model,
            self.plan.tokenizer,
            n=SHOWN if self.plan.split.documents else 1,
            max_tokens=SAMPLE_TOKENS,
            generator=make_generator(self.plan.config.training.seed),
        )
        model.train()
        for callback in self.callbacks:
            callback.sampled(self.progress.step, [s.text for s in samples])
        self.mark = time.perf_counter()

    def save(self) -> None:
        """Saves the state to resume from."""
        self.clock()
        save_state(self.run_.path, self.step, self.progress)
        self.mark = time.perf_counter()


def _report(plan: Plan, run: Run) -> None:
    """Measures the best weights and writes report.json."""
    validation = evaluate(run.model, plan.val_part)
    log = run.log
    documents = plan.split.documents
    samples = sample(
        run.model,
        run.tokenizer,
        n=KEPT if documents else 1,
        max_tokens=SAMPLE_TOKENS,
        generator=make_generator(plan.config.training.seed),
    )
    known = set(plan.corpus.documents)
    evaluations = [r for r in log if "val_loss" in r]
    best = min(evaluations, key=lambda r: r["val_loss"], default={})
    report: dict[str, Any] = {
        "steps": log[-1]["step"] if log else 0,
        "best_step": best.get("step", 0),
        "tokens": log[-1]["tokens"] if log else 0,
        "seconds": log[-1]["seconds"] if log else 0,
        "loss": best.get("loss"),
        "validation": validation.to_json(),
        "samples": [s.text for s in samples],
    }
    if documents:
        made = {s.text for s in samples} - {""}
        report["samples_different"], report["samples_new"] = len(made), len(made - known)
    others = not plan.model.fitted and report["best_step"] != report["steps"]
    last = plan.model if others else None
    report["novelty"] = assess(
        run.model, last, run.tokenizer, plan.split, report["best_step"], report["steps"]
    )
    write_json(run.path / "report.json", report)


def _spread(steps: int, times: int) -> set[int]:
    """`times` steps, evenly spread, the last one among them."""
    return {max(1, round(steps * (i + 1) / times)) for i in range(min(times, steps))}


def _append(run: Run, record: Mapping[str, Any]) -> None:
    with (run.path / "log.jsonl").open("a", encoding="utf-8") as file:
        file.write(dump(record) + "\n")


@contextmanager
def _signals() -> Iterator[list[int]]:
    """Collects the first SIGINT or SIGTERM in a list; a second one interrupts at once."""
    caught: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield caught
        return

    def note(number: int, frame: object) -> None:
        if caught:
            raise KeyboardInterrupt
        caught.append(number)

    watched = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, note) for number in watched]
    try:
        yield caught
    finally:
        for number, handler in zip(watched, before, strict=True):
            signal.signal(number, handler)
