"""Learning-rate schedules: pure functions of the update, counted from 0, and the number of updates."""

from __future__ import annotations

import math

from hornbook.config import OptimConfig


def learning_rate(config: OptimConfig, step: int, steps: int) -> float:
    """The learning rate of update `step` of `steps`.

    It rises from 0 over `warmup` updates, stays, and falls from `decay_start` on: to `final` of
    itself along a cosine or a line, or at once to a tenth (`drop`, the notes' 0.1 then 0.01).

    >>> config = OptimConfig(learning_rate=0.1, schedule="drop", decay_start=0.5)
    >>> [learning_rate(config, step, 4) for step in range(4)]
    [0.1, 0.1, 0.01, 0.01]
    >>> config = OptimConfig(learning_rate=1.0, schedule="linear", warmup=2, final=0.0)
    >>> [round(learning_rate(config, step, 6), 2) for step in range(7)]
    [0.5, 1.0, 1.0, 0.75, 0.5, 0.25, 0.0]
    """
    if step < config.warmup:
        return config.learning_rate * (step + 1) / config.warmup
    begin = max(config.warmup, round(config.decay_start * steps))
    if step < begin or config.schedule == "constant":
        return config.learning_rate
    if config.schedule == "drop":
        return config.learning_rate / 10
    progress = min(1.0, (step - begin) / max(1, steps - begin))
    if config.schedule == "cosine":
        progress = (1 - math.cos(math.pi * progress)) / 2
    return config.learning_rate * (1 - (1 - config.final) * progress)
