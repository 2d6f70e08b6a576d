"""A run's time: what is left of it, and how many updates fit into that.

On the way the updates that are left are counted anew, by what others took; the schedule goes on from
where it is, faster or slower.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field

from hornbook.config import RunConfig
from hornbook.errors import ConfigError
from hornbook.optim.schedules import place_of

# shares of the time of updates, at which those that are left are counted anew
COUNTED = (0.1, 0.25, 0.4, 0.55, 0.7, 0.8, 0.9)
CALLS = 4  # of updates since the last count, at least, to go by
UNUSUAL = 3.0  # times as long as usual: not to go by
APART = 0.005  # by which the two counts differ at least, or it is left as it is


class TooShortError(ConfigError):
    """Too few minutes. needed: how many would do."""

    def __init__(self, minutes: float, needed: float, what: str) -> None:
        self.needed = math.ceil(needed * 10 + 0.5) / 10
        super().__init__(
            f"minutes: found {minutes:g}, too few here for {what}; give {self.needed:g} or more"
        )


@dataclass
class Budget:
    """Seconds to end within, from `began` (time.monotonic()) on.

    evaluation, sampling, report: seconds that an evaluation takes, that samples now and then take, and
    what is written at the end.
    """

    seconds: float
    began: float
    evaluation: float = 0.0
    sampling: float = 0.0
    report: float = 0.0
    counts: list[float] = field(default_factory=list)  # when updates are to be counted anew
    counted_at: tuple[int, float] = (0, 0.0)  # updates and their seconds, when they last were
    calls: list[tuple[int, float]] = field(default_factory=list)  # the same of each call since

    @property
    def left(self) -> float:
        """Seconds until the report has to begin."""
        return max(0.0, self.seconds - (time.monotonic() - self.began) - self.report)

    def fits(self, each: float, besides: float) -> int:
        """Updates of so many seconds each that can still be made."""
        return int((self.left - besides) / max(each, 1e-9))

    def start(self) -> None:
        """The first update is about to be made."""
        now, left = time.monotonic(), self.left
        self.counts = [now + share * left for share in COUNTED]

    def is_due(self) -> bool:
        """Whether it is time to count anew."""
        return bool(self.counts) and time.monotonic() > self.counts[0]

    def made(self, updates: int, seconds: float) -> None:
        """A call made so many updates."""
        self.calls.append((updates, seconds))

    def _each(self, done: int, seconds: float) -> float:
        """Seconds of an update since the last count, but for calls that took several times as long as
        the quarter of the fastest: what is recorded or compiled once."""
        paces = sorted(took / n for n, took in self.calls)
        most = UNUSUAL * paces[len(paces) // 4]
        usual = [(n, took) for n, took in self.calls if took <= most * n]
        besides = seconds - self.counted_at[1] - sum(took for _, took in self.calls)
        each = sum(took for _, took in usual) / sum(n for n, _ in usual)
        return each + max(0.0, besides) / (done - self.counted_at[0])

    def counted(
        self, config: RunConfig, done: int, seconds: float, most: float
    ) -> RunConfig | None:
        """The settings with as many updates as fit, by what those took that were made since the last
        count; the schedule goes on from where it is. None where it is about as many, or too few
        were made to tell.

        done, seconds: updates, and what they took. most: updates in all.
        """
        if len(self.calls) < CALLS:
            return None
        each = self._each(done, seconds)
        self.counts = [due for due in self.counts if due > time.monotonic()]
        self.counted_at, self.calls = (done, seconds), []
        training, optim = config.training, config.optim
        steps = training.steps
        for _ in range(2):  # of fewer updates, fewer evaluations may be left
            evaluations = sum(at > done for at in spread(steps, training.eval_count))
            sample_count = sum(done < at < steps for at in spread(steps, training.sample_count))
            besides = evaluations * self.evaluation + sample_count * self.sampling
            steps = int(min(most, done + max(1, self.fits(each, besides))))
        if abs(steps - training.steps) <= APART * training.steps:
            return None
        paces = optim.paces or ((0, 0.0, training.steps),)
        paces = (*paces, (done, place_of(optim, done), steps))
        return config.model_copy(
            update={
                "training": training.model_copy(update={"steps": steps}),
                "optim": optim.model_copy(update={"paces": paces}),
            }
        )


def spread(steps: int, times: int) -> set[int]:
    """`times` of the updates, evenly spread, the last one among them."""
    return {max(1, round(steps * (i + 1) / times)) for i in range(min(times, steps))}
