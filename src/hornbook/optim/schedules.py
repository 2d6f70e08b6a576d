"""Learning-rate schedules: pure functions of the step, counted from 0, and the total steps."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from hornbook.config import OptimConfig


def learning_rate(config: OptimConfig, position: float, total_steps: int) -> float:
    """The learning rate at a position in a schedule of `total_steps`.

    It rises from 0 over `warmup` steps, stays, and falls from `decay_start` on: to `min_lr_ratio` of
    itself along a cosine or a line, or at once to a tenth (`step_decay`, the notes' 0.1 then 0.01).

    >>> config = OptimConfig(learning_rate=0.1, schedule="step_decay", decay_start=0.5)
    >>> [learning_rate(config, step, 4) for step in range(4)]
    [0.1, 0.1, 0.01, 0.01]
    >>> config = OptimConfig(learning_rate=1.0, schedule="linear", warmup=2, min_lr_ratio=0.0)
    >>> [round(learning_rate(config, step, 6), 2) for step in range(7)]
    [0.5, 1.0, 1.0, 0.75, 0.5, 0.25, 0.0]
    """
    if position < config.warmup:
        return config.learning_rate * (position + 1) / config.warmup
    begin = max(config.warmup, round(config.decay_start * total_steps))
    if position < begin or config.schedule == "constant":
        return config.learning_rate
    if config.schedule == "step_decay":
        return config.learning_rate / 10
    progress = min(1.0, (position - begin) / max(1, total_steps - begin))
    if config.schedule == "cosine":
        progress = (1 - math.cos(math.pi * progress)) / 2
    return config.learning_rate * (1 - (1 - config.min_lr_ratio) * progress)


class Segment(NamedTuple):
    """From `step` on, at `position` in the schedule as first planned, to its end at `total_steps`."""

    step: int
    position: float
    total_steps: int


def read_segments(data: Any) -> tuple[Segment, ...]:
    """Segments from plain data. Raises ValueError unless they are in order, the first from step 0."""
    try:
        segments = tuple(Segment(int(step), float(at), int(total)) for step, at, total in data)
    except (TypeError, ValueError, OverflowError):
        segments = ()
    begins = [segment.step for segment in segments]
    in_order = begins[:1] == [0] and begins == sorted(set(begins))
    if not in_order or any(s.total_steps < s.step or s.position < 0 for s in segments):
        raise ValueError(
            f"found {data!r}, expected (step, position, total steps) of each segment, the first from "
            "step 0"
        )
    return segments


@dataclass(frozen=True)
class Schedule:
    """The learning rate of each step of a run.

    A timed run may find on the way that more or fewer steps fit: it then continues from where it is
    in the schedule, faster or slower, to the same end. Each time adds a segment. Part of the training
    state, not of the settings.
    """

    config: OptimConfig
    segments: tuple[Segment, ...]

    @classmethod
    def planned(cls, config: OptimConfig, total_steps: int) -> Schedule:
        """The schedule of a run that takes as many steps as planned."""
        return cls(config, (Segment(0, 0.0, total_steps),))

    @property
    def total_steps(self) -> int:
        """How many steps the run takes, as far as is known."""
        return self.segments[-1].total_steps

    def position(self, step: int) -> float:
        """Where a step is in the schedule as first planned.

        >>> config = OptimConfig()
        >>> schedule = Schedule(config, (Segment(0, 0, 20), Segment(10, 10, 40)))
        >>> [schedule.position(step) for step in (5, 10, 25, 40)]
        [5.0, 10.0, 15.0, 20.0]
        """
        planned = self.segments[0].total_steps
        for first, position, total in reversed(self.segments):
            if step >= first:
                return position + (planned - position) * (step - first) / max(1, total - first)
        raise ValueError(f"found step {step}, expected {self.segments[0].step} or later")

    def rate(self, step: int) -> float:
        """The learning rate of a step, counted from 0."""
        if len(self.segments) == 1:
            return learning_rate(self.config, step, self.total_steps)
        return learning_rate(self.config, self.position(step), self.segments[0].total_steps)

    def with_total(self, step: int, total_steps: int) -> Schedule:
        """The same schedule, which ends at `total_steps` from `step` on."""
        segment = Segment(step, self.position(step), total_steps)
        return replace(self, segments=(*self.segments, segment))
