"""Says once when a run becomes far slower than its steps were when they were measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hornbook.planning.plan import Plan
from hornbook.runs.directory import StoredRun
from hornbook.training.callbacks.base import Callback

FAR_SLOWER = 3.0  # times the seconds of a step that are expected
WINDOW_SECONDS = 5.0  # of steps, over which a speed is averaged


class SpeedWatch(Callback):
    """Compares the speed of each window of steps with the one that is expected.

    The first window is left out: something is warmed up or compiled there. Evaluations, samples and
    saving are not part of the seconds of a step.

    The speed that was measured before the run is expected; without one, or with probes, which are
    slower, that of the second window.
    """

    def __init__(self, plan: Plan) -> None:
        self.threads = plan.threads if plan.device.type == "cpu" else 1
        measured = None if plan.config.training.probe_every else plan.step_seconds
        self.expected = plan.tokens_per_step / measured if measured else None
        self.windows = 0
        self.reported = False
        self._begin = (0.0, 0)  # seconds and tokens at the start of the window

    def on_start(self, run: StoredRun, step: int, total_steps: int) -> None:
        """Begins with the steps that follow, not with those before an interruption."""
        self._begin = self.trainer.state.seconds, self.trainer.state.tokens

    def on_log(self, record: Mapping[str, Any]) -> None:
        """Ends a window where it is long enough."""
        seconds, tokens = record["seconds"] - self._begin[0], record["tokens"] - self._begin[1]
        if self.reported or seconds < WINDOW_SECONDS:
            return
        self._begin = record["seconds"], record["tokens"]
        self.windows += 1
        if self.windows > 1:
            self._compare(tokens / seconds)

    def _compare(self, speed: float) -> None:
        if self.expected is None:
            self.expected = speed
        if speed * FAR_SLOWER >= self.expected:
            return
        self.reported = True
        remedy = "close other programs"
        if self.threads > 1:
            remedy += ", or interrupt it and start another run with --threads 1"
        self.trainer.notify(
            f"training is {self.expected / speed:.0f} times slower than it was: {speed:,.0f} "
            f"tokens/s instead of {self.expected:,.0f}; {remedy}"
        )
