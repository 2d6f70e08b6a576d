"""Learning-rate schedules: pure functions of the update, counted from 0, and the number of updates."""

from __future__ import annotations

import math

from hornbook.config import OptimConfig


def learning_rate(config: OptimConfig, step: int, steps: int) -> float:
    """The learning rate of update `step` of `steps`.

    It rises from 0 over `warmup` updates, stays, and falls from `decay_start` on: to `min_lr_ratio` of
    itself along a cosine or a line, or at once to a tenth (`step_decay`, as in the notes). At each
    of `paces` it goes on from where it is, faster or slower, to the same end.

    >>> config = OptimConfig(learning_rate=0.1, schedule="step_decay", decay_start=0.5)
    >>> [learning_rate(config, step, 4) for step in range(4)]
    [0.1, 0.1, 0.01, 0.01]
    >>> config = OptimConfig(learning_rate=1.0, schedule="linear", warmup=2, min_lr_ratio=0.0)
    >>> [round(learning_rate(config, step, 6), 2) for step in range(7)]
    [0.5, 1.0, 1.0, 0.75, 0.5, 0.25, 0.0]
    """
    place = place_of(config, step)
    if config.paces:
        steps = config.paces[0][2]
    if place < config.warmup:
        return config.learning_rate * (place + 1) / config.warmup
    begin = max(config.warmup, round(config.decay_start * steps))
    if place < begin or config.schedule == "constant":
        return config.learning_rate
    if config.schedule == "step_decay":
        return config.learning_rate / 10
    progress = min(1.0, (place - begin) / max(1, steps - begin))
    if config.schedule == "cosine":
        progress = (1 - math.cos(math.pi * progress)) / 2
    return config.learning_rate * (1 - (1 - config.min_lr_ratio) * progress)


def place_of(config: OptimConfig, step: int) -> float:
    """Where update `step` stands in the schedule as it was first planned.

    >>> config = OptimConfig(paces=((0, 0, 20), (10, 10, 40)))  # the second half takes thirty updates
    >>> [place_of(config, step) for step in (5, 10, 25, 40)]
    [5.0, 10.0, 15.0, 20.0]
    """
    for update, place, steps in reversed(config.paces):
        if step >= update:
            planned = config.paces[0][2]
            return place + (planned - place) * (step - update) / max(1, steps - update)
    return step
