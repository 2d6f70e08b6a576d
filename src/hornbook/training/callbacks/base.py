"""The hook points of a training run, named by when they run.

on_plan
on_start, then post_start of all
    pre_step -> the step -> post_step        (again and again)
    propose, then on_total_steps, on_save_due, on_interrupt: between two steps, on all processes alike
    pre_evaluate, on_log, on_samples, on_message: where they happen
on_end                                       (the last step is made)
on_report                                    (report.json is written)
close                                        (always, however training ended)
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from hornbook.engine.step import OptimizerStep
from hornbook.errors import RunError
from hornbook.files import append_line
from hornbook.planning.plan import Plan
from hornbook.runs.commands import same_command
from hornbook.runs.directory import StoredRun
from hornbook.runs.lock import Lock
from hornbook.training.checkpoint import saved_steps
from hornbook.training.clock import StepClock
from hornbook.training.history import ValidationHistory
from hornbook.training.interrupts import SIGPIPE
from hornbook.training.state import TrainingState

# of an output: nobody reads it, or its disk is full
UNWRITABLE = {errno.EPIPE, errno.ENOSPC, errno.EIO, errno.EFBIG, errno.EDQUOT}


class Agreement(NamedTuple):
    """What one process alone knows by a signal or a clock, and all act on between the same two steps.
    Of several proposals the largest numbers are agreed on; 0 proposes nothing.

    signal: that was caught. save: 1, a state is to be saved. total_steps: that the run takes now.
    """

    signal: int = 0
    save: int = 0
    total_steps: int = 0


NOTHING = Agreement()


class TrainerBase:
    """What a callback may use of the trainer; the loop itself is `training.loop.Trainer`.

    callbacks: called in this order at each hook. now: the time in seconds.
    """

    def __init__(
        self,
        plan: Plan,
        run: StoredRun,
        lock: Lock,
        callbacks: Sequence[Callback],
        now: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.plan, self.run, self.lock, self.callbacks = plan, run, lock, callbacks
        self.ranks = plan.ranks
        self.state = TrainingState(plan.schedule, ValidationHistory(plan.config.training.patience))
        model, rows = plan.build_rows()
        self.step = OptimizerStep(
            model, plan.build_batches(), plan.config, plan.precision, plan.compiled,
            learning_rate=self.state.rate, ranks=plan.ranks, parallel=plan.parallel, rows=rows,
        )  # fmt: skip
        self.signals: list[int] = []
        self.now, self.clock = now, StepClock(now=now)
        for callback in callbacks:
            callback.trainer = self

    def each(self, hook: str, *arguments: Any) -> None:
        """Calls a hook of all callbacks. Where the output of one cannot be written (the reader of a
        pipe is gone, a disk is full), training stops as on a signal."""
        for callback in self.callbacks:
            try:
                getattr(callback, hook)(*arguments)
            except OSError as error:  # any other, such as of a network, is a fault of the callback
                if error.errno not in UNWRITABLE:
                    raise
                self.signals.append(SIGPIPE)

    def notify(self, message: str) -> None:
        """Passes a message to all callbacks."""
        self.each("on_message", message)

    def log(self, record: Mapping[str, Any]) -> None:
        """Writes a record of the log and passes it to all callbacks."""
        self.write(lambda path: append_line(path / "log.jsonl", record))
        self.state.records += 1
        self.each("on_log", record)

    def write(self, write: Callable[[Path], None]) -> None:
        """Calls a function with the run directory, wherever it was moved meanwhile; on rank 0 alone.

        Raises RunError that says what is saved and how to continue from there.
        """
        if not self.ranks.is_first:
            return
        self._follow()
        try:
            try:
                write(self.run.path)
            except RunError:
                if not self._follow():
                    raise
                write(self.run.path)
        except RunError as error:
            saved = saved_steps(self.state)
            what = "Nothing is lost but time" if saved is None else f"Step {saved:,} is saved"
            command = same_command(self.run.path)
            raise RunError(f"{error}. {what}; then resume:\n  {command}") from None

    def _follow(self) -> bool:
        """Whether the run directory was moved; from then on it is written where it is now."""
        if not self.lock.follow():
            return False
        self.notify(f"{self.run.path} was moved to {self.lock.path}: continuing there")
        self.run.path = self.lock.path
        return True


class Callback:
    """Override what is of interest; each method does nothing here. Those of a user change no result.

    trainer: set before `on_start`; a count model, which is fitted in one pass, has none.
    """

    trainer: TrainerBase

    def on_plan(self, plan: Plan) -> None:
        """Before the run directory is made: what is going to happen."""

    def on_start(self, run: StoredRun, step: int, total_steps: int) -> None:
        """The run directory is there, and steps `step` to `total_steps` follow."""

    def post_start(self) -> None:
        """After `on_start` of all callbacks: what an interruption left undone is done here."""

    def next_due(self, step: int) -> int | None:
        """The number of steps after which this callback has to be called next, more than `step`; None
        where it does not matter. Steps up to there may be made in one call."""
        return None

    def propose(self) -> Agreement:
        """Between two steps: what is to be done on all processes, and this one alone knows."""
        return NOTHING

    def pre_step(self, step: int) -> None:
        """Right before a step, counted from 0 (or before several that are made in one call)."""

    def post_step(self, step: int) -> None:
        """Right after a step, counted from 0 (or the last of several): gradients and new weights are
        there."""

    def pre_evaluate(self) -> None:
        """Right before an evaluation."""

    def on_log(self, record: Mapping[str, Any]) -> None:
        """A record of the log: mean loss since the last, and with `val_loss` an evaluation."""

    def on_samples(self, step: int, texts: Sequence[str]) -> None:
        """A few samples of the current weights."""

    def on_message(self, message: str) -> None:
        """Something in plain words, such as overfitting."""

    def on_total_steps(self, total_steps: int) -> None:
        """The run takes another number of steps from here on (a time budget)."""

    def on_save_due(self) -> None:
        """A state is to be saved: none was for some time."""

    def on_interrupt(self) -> None:
        """A signal was caught; training ends after this."""

    def on_end(self) -> None:
        """The last step is made."""

    def on_report(self, run: StoredRun) -> None:
        """The report is written."""

    def close(self) -> None:
        """Training is left, in whatever way."""


@lru_cache(maxsize=64)
def spaced_steps(total_steps: int, count: int) -> tuple[int, ...]:
    """`count` of the steps, or all where there are fewer: evenly spaced, in order, the last among them.

    >>> spaced_steps(10, 4)
    (2, 5, 8, 10)
    """
    n = min(count, total_steps)
    return tuple(sorted({max(1, round(total_steps * (i + 1) / n)) for i in range(n)}))


class SpacedCallback(Callback):
    """Acts after `count` steps of a run, evenly spaced."""

    def __init__(self, count: int) -> None:
        self.count = count

    def steps(self) -> tuple[int, ...]:
        """The steps after which it acts."""
        return spaced_steps(self.trainer.state.total_steps, self.count)

    def next_due(self, step: int) -> int | None:
        """The next of them."""
        return next((n for n in self.steps() if n > step), None)

    def post_step(self, step: int) -> None:
        """Acts where it is due."""
        if step + 1 in self.steps():
            self.act()

    def act(self) -> None:
        """What is done after such a step."""
