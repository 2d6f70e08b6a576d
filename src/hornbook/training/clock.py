"""Seconds that a run spends on its steps: without evaluations, samples and saving."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class StepClock:
    """Counts seconds since it was made, but for those of `paused` blocks.

    last: seconds that the last block of each kind took. now: the time in seconds.
    """

    def __init__(self, seconds: float = 0.0, now: Callable[[], float] = time.perf_counter) -> None:
        self.last: dict[str, float] = {}
        self.now, self._seconds, self._mark, self._depth = now, seconds, now(), 0

    def read(self) -> float:
        """Seconds spent on steps so far."""
        if self._depth == 0:
            now = self.now()
            self._seconds += now - self._mark
            self._mark = now
        return self._seconds

    @contextmanager
    def paused(self, kind: str) -> Iterator[None]:
        """What is done inside is not part of a step. Blocks may be nested."""
        self.read()
        begin = self.now()
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
            self._mark = self.now()
            self.last[kind] = self._mark - begin
