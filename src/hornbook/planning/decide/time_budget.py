"""How many steps and evaluations fit into a time budget."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from hornbook.errors import ConfigError, counted
from hornbook.planning.tuning import EVALUATION_SHARE, RETRY_MARGIN


class TooShortError(ConfigError):
    """A time budget that is too short. needed: minutes that would do."""

    def __init__(self, minutes: float, needed: float, what: str) -> None:
        self.needed = math.ceil(needed * 10 + 0.5) / 10
        super().__init__(
            f"minutes: found {minutes:g}, too few here for {what}; give {self.needed:g} or more"
        )


@dataclass(frozen=True, kw_only=True)
class TimeBudget:
    """Minutes to end within, from `began` on, by a clock in seconds.

    evaluation, samples, report: seconds that an evaluation takes, that showing samples takes, and what
    is measured and written at the end.
    """

    minutes: float
    began: float
    evaluation: float = 0.0
    samples: float = 0.0
    report: float = 0.0
    clock: Callable[[], float] = field(default=time.monotonic, repr=False, compare=False)

    @property
    def seconds_spent(self) -> float:
        """Seconds since it began."""
        return self.clock() - self.began

    @property
    def seconds_left(self) -> float:
        """Seconds until the report has to begin."""
        return max(0.0, 60 * self.minutes - self.seconds_spent - self.report)

    def steps(self, step_seconds: float, besides: float) -> int:
        """Steps that still fit, beside so many seconds for other things."""
        return int((self.seconds_left - besides) / max(step_seconds, 1e-9))

    def evaluations(self, preset: int) -> int:
        """Evaluations on the way: a preset's number, fewer where they would take too long."""
        most = int(EVALUATION_SHARE * self.seconds_left / max(self.evaluation, 1e-9))
        return max(1, min(preset, most))

    def check(self, step_seconds: float, evaluations: int) -> None:
        """Raises TooShortError where no two steps and so many evaluations fit."""
        besides = evaluations * self.evaluation
        if self.steps(step_seconds, besides) < 2:
            seconds = self.seconds_spent + self.report + besides + 2 * step_seconds
            needed = RETRY_MARGIN * seconds / 60
            what = f"two steps and {counted(evaluations, 'evaluation')}"
            raise TooShortError(self.minutes, needed, what)
