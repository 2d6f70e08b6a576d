"""The training loop, short enough to read aloud: update, log, now and then save, evaluate, sample.

The state is saved before each evaluation, every few minutes, and on the first Ctrl-C or SIGTERM.
"""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor

from hornbook.engine.device import autocast
from hornbook.engine.step import NotFiniteError, TrainStep
from hornbook.errors import RunError
from hornbook.files import (
    append_line,
    read_tensors,
    remove,
    sync,
    write_json,
    write_lines,
    write_tensors,
)
from hornbook.generate import sample
from hornbook.generate.sampling import make_generator
from hornbook.machine import freed_memory_kept, size
from hornbook.metrics.loss import token_nats
from hornbook.planning.budget import Budget, spread
from hornbook.planning.memory import estimate
from hornbook.planning.plan import Plan
from hornbook.runs.commands import resume_command
from hornbook.runs.directory import StoredRun
from hornbook.runs.lock import Lock
from hornbook.training.callbacks import Callback
from hornbook.training.faults import is_out_of_memory, why_not_finite
from hornbook.training.report import SAMPLE_TOKENS
from hornbook.training.state import Progress, has_state, load_state, pass_over, save_state
from hornbook.training.watch import Watch

RECORDS = 200  # entries in the log of a whole run
SHOWN = 3  # samples shown now and then
FOLDED = 1000  # losses kept one by one at most, between two records
SIGPIPE = 13  # which Windows has not
SAVE_EVERY = 300.0  # seconds after which a state is saved that no evaluation has saved


class Interrupted(KeyboardInterrupt):
    """Training was interrupted and its state saved."""

    def __init__(self, run: StoredRun, step: int, number: int = signal.SIGINT) -> None:
        super().__init__(
            f"interrupted after update {step}; its state is saved. To go on:\n"
            f"  {resume_command(run.path)}"
        )
        self.run, self.step, self.signal = run, step, number


class Loop:
    """Updates from where the state stands to the last, with what is done in between."""

    def __init__(
        self, plan: Plan, run: StoredRun, callbacks: Sequence[Callback], lock: Lock, *, fresh: bool
    ) -> None:
        self.plan, self.run_, self.callbacks, self.lock = plan, run, callbacks, lock
        training = plan.config.training
        self.steps = training.steps
        self.step = TrainStep(plan.model, plan.batches, plan.config, plan.precision, plan.compiled)
        self.progress = Progress(Watch(patience=training.patience))
        self.losses: list[float] = []
        self.caught: list[int] = []
        if not fresh:
            self.resume()
        self.set_horizon()
        self.mark, self.recorded = time.perf_counter(), self.progress.seconds
        self.saved = self.mark

    def set_horizon(self) -> None:
        """When what is due, by the number of updates in all."""
        training = self.plan.config.training
        self.steps = training.steps
        self.log_every = max(1, self.steps // RECORDS)
        self.evaluate_at = spread(self.steps, training.eval_count)
        self.sample_at = spread(self.steps, training.sample_count) - {self.steps}

    def count_anew(self, budget: Budget) -> None:
        """Fits the updates to the time that is left; the schedule goes on from where it is."""
        self.clock()
        most = self.plan.most_updates or math.inf
        config = budget.counted(self.plan.config, self.progress.step, self.progress.seconds, most)
        if config is None:
            return
        self.plan.config = self.step.config = config
        facts = {**self.run_.facts, "config": config.model_dump(mode="json")}
        self.run_.facts, self.run_.config = facts, config
        self.write(lambda path: write_json(path / "config.json", facts))
        self.set_horizon()
        self.each(lambda callback: callback.counted(self.steps))

    def resume(self) -> None:
        """Goes to where the last whole state stands; what the log says after it is made again."""
        path = self.run_.path
        if has_state(path) or (path / "model.safetensors").exists():
            self.progress, told = load_state(path, self.step)
            if told:
                self.tell(told)
            before = self.progress.steps  # config.json may already hold the new number
            extended = self.plan.extended if before is None else self.steps > before
            if extended and self.progress.watch.should_stop:
                self.progress.watch.since_best = 0
                self.tell(
                    f"stopped early at update {self.progress.step:,}: going on, "
                    "with patience counted anew"
                )
            self.check_best()
        else:
            self.tell("stopped before its first state was saved: it begins again, to the same end")
        damage: list[str] = []
        log = self.run_.read_log(damage)
        if len(log) < self.progress.records:
            lost = self.progress.records - len(log)
            place = damage[0] if damage else f"{path}/log.jsonl"
            self.tell(f"{place}: its last {lost} records are gone; the weights are not")
            self.progress.records = len(log)
        if not self.ended():  # a report of fewer updates would say that it is finished
            remove(path / "report.json")
        write_json(path / "config.json", self.run_.facts)
        write_lines(path / "log.jsonl", log[: self.progress.records])
        self.losses = [r["loss"] for r in log[: self.progress.records] if r["loss"] is not None]

    def check_best(self) -> None:
        """Forgets the best loss where its weights are damaged or gone: others are to be kept."""
        watch = self.progress.watch
        if math.isinf(watch.best):
            return
        try:
            read_tensors(
                self.run_.path / "model.safetensors",
                lambda header: self.plan.model.check_weights(header.tensors),
            )
        except RunError as error:
            self.tell(
                f"{error}. Those of update {watch.best_step:,} were the best: from here on the best "
                "of the evaluations to come are kept, or else the last"
            )
            watch.best = math.inf

    def keep_last(self) -> None:
        """Takes the last weights for the best where no evaluation gave any."""
        if not math.isinf(self.progress.watch.best):
            return
        self.progress.watch.best_step = self.progress.step
        with self.step.at_average():
            self.plan.model.calibrate(self.plan.training_windows)
            weights = self.plan.model.state_dict()
            self.write(lambda path: write_tensors(path / "model.safetensors", weights))

    def run(self) -> None:
        """Trains. Raises Interrupted on the first Ctrl-C or SIGTERM, after saving the state."""
        self.each(lambda callback: callback.opened(self.write, self.tell))
        self.each(lambda callback: callback.started(self.run_, self.progress.step, self.steps))
        self.plan.model.train()
        with freed_memory_kept(), _signals(self.caught):
            self.mark = time.perf_counter()
            if self.plan.budget is not None:
                self.plan.budget.start()
            if self.progress.step in self.evaluate_at and self.progress.pending:
                self.evaluate()  # stopped before it was finished
            self.stop_if_caught()
            while not self.ended():
                try:
                    self.update()
                except (MemoryError, RuntimeError) as error:
                    if not is_out_of_memory(error):
                        raise
                    self.out_of_memory()
                self.stop_if_caught()
                if time.perf_counter() - self.saved > SAVE_EVERY:
                    self.save()
        self.save()
        self.keep_last()

    def ended(self) -> bool:
        """Whether no update is left to make."""
        return self.progress.step >= self.steps or self.progress.watch.should_stop

    def stop_if_caught(self) -> None:
        """Saves and raises Interrupted where a signal was caught."""
        if self.caught:
            self.save()
            raise Interrupted(self.run_, self.progress.step, self.caught[0])

    def each(self, tell: Callable[[Callback], None]) -> None:
        """Tells each callback; where what one says cannot be written, training stops as by a signal."""
        for callback in self.callbacks:
            try:
                tell(callback)
            except OSError:  # the reader of a pipe went away, the disk of an output is full
                self.caught.append(SIGPIPE)

    def update(self) -> None:
        """One update, or several at once, and what is due after them."""
        progress, first = self.progress, self.progress.step
        if self.plan.budget is not None and self.plan.budget.is_due():
            self.count_anew(self.plan.budget)
        begin = time.perf_counter()
        pairs = self.step.several(first) if self.together(first) else None
        if pairs is None:
            pairs = [self.one(first)]
        if self.plan.budget is not None:
            self.plan.budget.made(len(pairs), time.perf_counter() - begin)
        progress.pending += pairs
        progress.step += len(pairs)
        progress.tokens = round(progress.step * self.plan.tokens_per_step)
        if progress.step in self.evaluate_at:
            self.evaluate()
        elif self.logs(progress.step):
            self.log(self.flush())
        elif len(progress.pending) >= FOLDED:
            self.fold()
        if progress.step in self.sample_at:
            self.show_samples()

    def one(self, step: int) -> tuple[Tensor, Tensor]:
        """One update, which callbacks may look at."""
        watched = any(callback.watches(step) for callback in self.callbacks)
        for callback in self.callbacks:
            callback.updating(step)
        try:
            pair = self.step(step, watched=watched)
        except NotFiniteError as error:  # not saved: from here the same batch leads there again
            self.diverged(step, error.loss, error.norm)
        for callback in self.callbacks:
            callback.updated(step)
        return pair

    def logs(self, step: int) -> bool:
        """Whether there is a record after so many updates."""
        return step % self.log_every == 0 or step == 1

    def together(self, first: int) -> bool:
        """Whether the next `span` updates can be made at once: nothing is due between them.

        It depends on the step alone, so that a run goes on as if it had not been interrupted.
        """
        span = self.step.span
        if span == 1 or first % span or first + span > self.steps:
            return False
        between = range(first + 1, first + span)
        due = self.evaluate_at | self.sample_at
        return not (
            any(at in due or self.logs(at) for at in between)
            or any(c.watches(at) for c in self.callbacks for at in range(first, first + span))
        )

    def clock(self) -> None:
        """Counts the time since it was last looked at as time of updates."""
        now = time.perf_counter()
        self.progress.seconds += now - self.mark
        self.mark = now

    def figures(self) -> tuple[list[float], list[float]]:
        """Losses and gradient norms since the last record; stops where one is no number.

        On a GPU this is where it is found: no update waits for the device, and no state is saved
        that has not been through here.
        """
        if not self.progress.pending:
            return [], []
        pairs = torch.stack([torch.stack(pair) for pair in self.progress.pending])
        losses, norms = pairs.double().T.tolist()
        first = self.progress.step - len(losses)
        for i, (loss, norm) in enumerate(zip(losses, norms, strict=True)):
            if not math.isfinite(loss + norm):
                self.losses += losses[:i]
                self.diverged(first + i, loss, norm)
        return losses, norms

    def fold(self) -> tuple[float, float, float]:
        """Number of updates since the last record, sums of their losses and gradient norms."""
        losses, norms = self.figures()
        n, loss, norm = self.progress.folded
        self.progress.pending = []
        self.progress.folded = n + len(losses), loss + sum(losses), norm + sum(norms)
        return self.progress.folded

    def flush(self) -> dict[str, Any]:
        """The record of the updates since the last."""
        n, loss, norm = self.fold()
        self.progress.folded = (0.0, 0.0, 0.0)
        self.clock()
        spent = self.progress.seconds - self.recorded
        self.recorded = self.progress.seconds
        self.losses.append(loss / n)
        return {
            "step": self.progress.step,
            "tokens": self.progress.tokens,
            "seconds": round(self.progress.seconds, 3),
            "loss": loss / n,
            "lr": self.step.learning_rate(self.progress.step - 1),
            "grad_norm": norm / n,
            "tokens_per_second": round(n * self.plan.tokens_per_step / max(spent, 1e-9)),
        }

    def log(self, record: dict[str, Any]) -> None:
        """Writes a record and shows it."""
        self.write(lambda path: append_line(path / "log.jsonl", record))
        self.progress.records += 1
        self.each(lambda callback: callback.logged(record))

    def evaluate(self) -> None:
        """The validation loss over the whole part; keeps the weights where it is the best."""
        model, watch, begin = self.plan.model, self.progress.watch, time.perf_counter()
        self.save()
        record = self.flush()
        with self.step.at_average():
            model.calibrate(self.plan.training_windows)
            with autocast(self.plan.device, self.plan.precision):
                record["val_loss"] = float(token_nats(model, self.plan.val_part).mean())
            if watch.evaluated(self.progress.step, record["loss"], record["val_loss"]):
                weights = model.state_dict()
                self.write(lambda path: write_tensors(path / "model.safetensors", weights))
            self.log(record)  # here, so that callbacks look at the weights that were evaluated
        if message := watch.message():
            self.tell(message)
        if watch.should_stop:
            self.tell(
                f"stopped at step {self.progress.step}: {watch.since_best} evaluations without "
                f"a better validation loss than that of step {watch.best_step}"
            )
        self.mark = time.perf_counter()
        if self.plan.budget is not None:
            self.plan.budget.evaluation = self.mark - begin

    def show_samples(self) -> None:
        """A few samples of the model as it is; the generators of training are not touched."""
        self.clock()
        model, begin = self.plan.model, self.mark
        samples = sample(
            model,
            self.plan.tokenizer,
            n=SHOWN if self.plan.split.documents else 1,
            max_tokens=SAMPLE_TOKENS,
            generator=make_generator(self.plan.config.training.seed),
        )
        model.train()
        self.each(lambda callback: callback.sampled(self.progress.step, [s.text for s in samples]))
        self.mark = time.perf_counter()
        if self.plan.budget is not None:
            self.plan.budget.sampling = self.mark - begin

    def save(self) -> None:
        """Saves the state to resume from, after the log that it counts on."""
        self.figures()
        if not self.is_whole():
            self.diverged(self.progress.step, math.nan, math.nan)
        self.clock()

        def write(path: Path) -> None:
            sync(path / "log.jsonl")
            save_state(path, self.step, self.progress)

        self.write(write)
        self.mark = self.saved = time.perf_counter()

    def is_whole(self) -> bool:
        """Whether all weights are numbers: an update may overflow them where its gradient did not."""
        return all(bool(p.isfinite().all()) for p in self.plan.model.parameters())

    def write(self, write: Callable[[Path], None]) -> None:
        """Writes into the run directory, wherever it was moved meanwhile.

        Raises RunError that says what is saved and how to go on from there.
        """
        self.follow()
        try:
            try:
                write(self.run_.path)
            except RunError:
                if not self.follow():
                    raise
                write(self.run_.path)
        except RunError as error:
            raise RunError(f"{error}. {self.way_on()}") from None

    def follow(self) -> bool:
        """Whether the run directory was moved; from then on it is written where it is now."""
        if not self.lock.follow():
            return False
        self.tell(f"{self.run_.path} was moved to {self.lock.path}: going on there")
        self.run_.path = self.lock.path
        return True

    def way_on(self) -> str:
        """What is saved, and the command that goes on from there."""
        saved = self.progress.saved
        what = "Nothing is lost but time" if saved is None else f"Update {saved:,} is saved"
        return f"{what}; then go on:\n  {resume_command(self.run_.path)}"

    def diverged(self, step: int, loss: float, norm: float) -> NoReturn:
        """Raises RunError: update `step` (counted from 0) had no number to learn from."""
        cause, flags = why_not_finite(
            self.plan.model, loss, norm, self.losses, self.step.learning_rate(step),
            self.plan.config.optim,
        )  # fmt: skip
        saved, why = self.progress.saved, ""
        if saved == step:
            saved = pass_over(self.run_.path, self.progress)
            why = f"the state of update {step:,} leads there whatever the rate, "
        kept = f"{why}the state of update {saved:,} is kept" if saved else f"{why}no other is kept"
        command = f"{resume_command(self.run_.path)} {flags}"
        if not saved:
            command = f"the same command with another --out and {flags}"
        raise RunError(
            f"{self.run_.path}: the loss is no number any more: at update {step + 1:,} it is "
            f"{loss:.4g} and the norm of its gradient {norm:.4g}, expected finite ones; {cause}. "
            f"Training stopped, {kept}; go on with\n  {command}"
        )

    def out_of_memory(self) -> NoReturn:
        """Raises RunError: what was expected, and what to lower."""
        needed = ""
        with suppress(RuntimeError, MemoryError):
            needed = f"; the estimate was {size(estimate(self.plan).total)}"
        raise RunError(
            f"{self.run_.path}: no memory left at update {self.progress.step + 1:,}{needed}; close "
            f"other programs and go on ({resume_command(self.run_.path)}), or train anew with a "
            f"lower --training.batch-size (now {self.plan.batches.batch_size}) or "
            "--model.context-length"
        )

    def tell(self, message: str) -> None:
        """Says something in plain words."""
        self.each(lambda callback: callback.told(message))


@contextmanager
def _signals(caught: list[int]) -> Iterator[None]:
    """Collects the first SIGINT or SIGTERM in a list; a second one interrupts at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def note(number: int, frame: object) -> None:
        if caught and number == signal.SIGTERM:
            raise SystemExit(128 + number)
        if caught:
            raise KeyboardInterrupt
        caught.append(number)

    watched = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, note) for number in watched]
    try:
        yield
    finally:
        for number, handler in zip(watched, before, strict=True):
            signal.signal(number, handler)
