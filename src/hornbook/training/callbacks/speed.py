"""Says once when a run becomes far slower than its steps were when it began."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import Any

from hornbook.training.callbacks.base import Callback

FAR_SLOWER = 3.0  # times the seconds of a step that are expected
RECORDS = 3  # in a row
FIRST_SECONDS = 5.0  # of steps, before which nothing is said: something is warmed up or compiled


class SpeedWatch(Callback):
    """Compares the speed of the last records with that of the fastest ones.

    step_seconds: measured before the run; None: the first records are taken instead.
    """

    def __init__(self, step_seconds: float | None, threads: int, tokens_per_step: float) -> None:
        self.threads = threads
        self.expected = tokens_per_step / step_seconds if step_seconds else None
        self.speeds: list[float] = []
        self.told = False

    def on_log(self, record: Mapping[str, Any]) -> None:
        """After each record."""
        self.speeds.append(record["tokens_per_second"])
        if self.told or record["seconds"] < FIRST_SECONDS or len(self.speeds) < 2 * RECORDS:
            return
        expected = self.expected or statistics.median(self.speeds[: 2 * RECORDS])
        last = self.speeds[-RECORDS:]
        if max(last) * FAR_SLOWER < expected:
            self.told = True
            remedy = "close other programs"
            if self.threads > 1:
                remedy += ", or interrupt, and train anew with --threads 1"
            self.trainer.notify(
                f"training is {expected / statistics.median(last):.0f} times slower than it was: "
                f"{statistics.median(last):,.0f} tokens/s instead of {expected:,.0f}; {remedy}"
            )
