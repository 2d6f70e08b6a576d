"""The hook points of a training run, named by when they run.

on_plan
on_start, then post_start of all
    pre_step -> the step -> post_step        (again and again)
    pre_evaluate, on_log, on_samples, on_message, on_total_steps, on_interrupt: where they happen
on_end                                       (the last step is made)
on_report                                    (report.json is written)
close                                        (always, however training ended)
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

from hornbook.engine.step import OptimizerStep
from hornbook.planning.plan import Plan
from hornbook.runs.directory import StoredRun
from hornbook.training.clock import StepClock
from hornbook.training.losses import LossRecorder
from hornbook.training.state import TrainingState

WriteIn = Callable[[Path], None]


class TrainerView(Protocol):
    """What a callback may use of the trainer."""

    plan: Plan
    run: StoredRun
    step: OptimizerStep
    state: TrainingState
    recorder: LossRecorder
    clock: StepClock

    def notify(self, message: str) -> None:
        """Passes a message to all callbacks."""

    def write(self, write: WriteIn) -> None:
        """Calls a function with the run directory, wherever it was moved meanwhile."""

    def log(self, record: Mapping[str, Any]) -> None:
        """Writes a record of the log and passes it to all callbacks."""

    def each(self, hook: str, *arguments: Any) -> None:
        """Calls a hook of all callbacks."""


class Callback:
    """Override what is of interest; each method does nothing here. None changes a result.

    trainer: set before `on_start`; a count model, which is fitted in one pass, has none.
    """

    trainer: TrainerView

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
        """A few samples of the model as it is."""

    def on_message(self, message: str) -> None:
        """Something in plain words, such as overfitting."""

    def on_total_steps(self, total_steps: int) -> None:
        """The run takes another number of steps from here on (a time budget)."""

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


def following(steps: Sequence[int], step: int) -> int | None:
    """The first of some ordered steps that comes after `step`."""
    i = bisect_right(steps, step)
    return steps[i] if i < len(steps) else None
