"""The time that is left of a run, as it is shown."""

from __future__ import annotations

SMOOTHING = 0.2  # share by which the time left that is shown moves towards the one that is found


class TimeLeft:
    """The time that the steps to come will take, by those made so far, without jumps.

    The first step is not counted: something is compiled or warmed up in it. An evaluation, or another
    program, changes what is shown step by step.

    step, now: where the run begins, and when.
    """

    def __init__(self, step: int = 0, now: float = 0.0) -> None:
        self.first = self.step = step
        self.begin = self.at = now
        self.warm = False  # whether the first step is made
        self.seconds: float | None = None  # that are left, as last shown

    def change_total(self, before: int, total: int) -> None:
        """The run takes another number of steps from here on."""
        if self.seconds is not None and before > self.step:
            self.seconds *= max(0, total - self.step) / (before - self.step)

    def read(self, step: int, total: int, now: float) -> str:
        """`  1:05 left` after so many steps; nothing where that is not known, or none is left."""
        if step > self.first and not self.warm:
            self.warm = True
            if step == self.first + 1:
                self.first, self.begin = step, now
        made = step - self.first
        if made < 2 or step >= total:
            return ""
        found = (now - self.begin) / made * (total - step)
        if self.seconds is None:
            self.seconds = found
        else:
            # what was shown, less the time that has passed, moves towards what is found; all the
            # more, the larger the share of the remaining time since then
            weight = max(SMOOTHING, min(1.0, (now - self.at) / max(found, 1e-9)))
            expected = max(0.0, self.seconds - (now - self.at))
            self.seconds = expected + weight * (found - expected)
        self.step, self.at = step, now
        minutes, seconds = divmod(round(self.seconds), 60)
        return f"  {minutes}:{seconds:02d} left"
