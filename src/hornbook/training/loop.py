"""The training loop: step, hooks, end. What happens beside the steps is in `callbacks/`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from hornbook.engine.step import NotFiniteError, OptimizerStep
from hornbook.files import append_line
from hornbook.machine import keep_freed_memory
from hornbook.planning.plan import Plan
from hornbook.runs.directory import StoredRun
from hornbook.runs.lock import Lock
from hornbook.training import faults
from hornbook.training.callbacks.base import Callback, WriteIn
from hornbook.training.clock import StepClock
from hornbook.training.history import ValidationHistory
from hornbook.training.interrupts import SIGPIPE, Interrupted, collected_signals
from hornbook.training.losses import LossRecorder
from hornbook.training.state import TrainingState
from hornbook.training.writer import RunWriter


class Trainer:
    """Makes the steps of a plan, from where its state stands to the last.

    callbacks: called in this order at each hook (`callbacks/base.py`). now: the time in seconds.
    """

    def __init__(
        self,
        plan: Plan,
        run: StoredRun,
        lock: Lock,
        callbacks: Sequence[Callback],
        now: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.plan, self.run, self.callbacks = plan, run, callbacks
        self.state = TrainingState(plan.schedule, ValidationHistory(plan.config.training.patience))
        self.step = OptimizerStep(
            plan.build_model(), plan.build_batches(), plan.config, plan.precision, plan.compiled,
            learning_rate=self.state.rate,
        )  # fmt: skip
        self.recorder = LossRecorder(self.state)
        self.writer = RunWriter(run, lock, self.state, self.notify)
        self.signals: list[int] = []
        self.now, self.clock = now, StepClock(now=now)
        for callback in callbacks:
            callback.trainer = self

    def train(self) -> None:
        """Trains. Raises Interrupted on the first Ctrl-C or SIGTERM, after the state was saved, and
        RunError where the loss is not finite or memory runs out."""
        with keep_freed_memory(), self.explained_faults():
            self.step.model.train()
            with collected_signals(self.signals):
                self.clock = StepClock(self.state.seconds, self.now)
                self.each("on_start", self.run, self.state.step, self.state.total_steps)
                self.each("post_start")
                self.stop_if_interrupted()
                while not self.state.finished:
                    self.each("pre_step", self.state.step)
                    self.advance()
                    self.each("post_step", self.state.step - 1)
                    self.stop_if_interrupted()
            self.each("on_end")

    def advance(self) -> None:
        """Makes one step, or several in one call where nothing is due between them."""
        state = self.state
        due = (callback.next_due(state.step) for callback in self.callbacks)
        until = min((n for n in due if n is not None), default=state.total_steps)
        state.pending += (made := self.step.advance(state.step, min(until, state.total_steps)))
        state.step += len(made)
        state.tokens = round(state.step * self.plan.tokens_per_step)
        state.seconds = self.clock.read()

    def each(self, hook: str, *arguments: Any) -> None:
        """Calls a hook of all callbacks. Where the output of one cannot be written (the reader of a
        pipe is gone, a disk is full), training stops as on a signal."""
        for callback in self.callbacks:
            try:
                getattr(callback, hook)(*arguments)
            except OSError:
                self.signals.append(SIGPIPE)

    def notify(self, message: str) -> None:
        """Passes a message to all callbacks."""
        self.each("on_message", message)

    def write(self, write: WriteIn) -> None:
        """Calls a function with the run directory, wherever it was moved meanwhile."""
        self.writer.write(write)

    def log(self, record: Mapping[str, Any]) -> None:
        """Writes a record of the log and passes it to all callbacks."""
        self.write(lambda path: append_line(path / "log.jsonl", record))
        self.state.records += 1
        self.each("on_log", record)

    def stop_if_interrupted(self) -> None:
        """Has the state saved and raises Interrupted where a signal was caught."""
        if self.signals:
            self.each("on_interrupt")
            raise Interrupted(self.run, self.state.step, self.signals[0])

    @contextmanager
    def explained_faults(self) -> Iterator[None]:
        """Turns a loss that is not finite and a lack of memory into a RunError with what to do."""
        try:
            yield
        except NotFiniteError as error:
            path, model = self.run.path, self.step.model
            losses, optim = self.recorder.losses, self.plan.config.optim
            raise faults.diverged(path, model, optim, self.state, losses, error) from None
        except (MemoryError, RuntimeError) as error:
            if not faults.is_out_of_memory(error):
                raise
            rows = self.step.batches.batch_size
            raise faults.out_of_memory(
                self.run.path, self.state.step, rows, self.plan.memory
            ) from None
