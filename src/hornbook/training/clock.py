"""Seconds that a run spends on its steps: without evaluations, samples and saving."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from hornbook.stages import stage


class StepClock:
    """Counts seconds since it was made, but for those of `paused` blocks.

    last: seconds that the last block of each kind took. now: the time in seconds.
    """

    def __init__(self, seconds: float = 0.0, now: Callable[[], float] = time.perf_counter) -> None:
        self.last: dict[str, float] = {}
        self.now, self._begin = now, now() - seconds

    def read(self) -> float:
        """Seconds spent on steps so far; to be asked outside of `paused` blocks."""
        return self.now() - self._begin

    @contextmanager
    def paused(self, kind: str) -> Iterator[None]:
        """What is done inside is not part of a step. Blocks may be nested."""
        seconds, begin = self.read(), self.now()
        try:
            with stage(kind):
                yield
        finally:
            self.last[kind] = self.now() - begin
            self._begin = self.now() - seconds
