"""Where a run is: what changes while it trains, and is saved to resume from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from hornbook.optim.schedules import Schedule
from hornbook.training.history import ValidationHistory

Folded = tuple[float, float, float]


@dataclass
class TrainingState:
    """Steps made, tokens seen, seconds spent on steps, and what follows from the losses so far.

    schedule: the learning rates, and the total steps as far as is known.
    pending: (loss, gradient norm) of the steps since the last record of the log, as tensors.
    folded: number of steps before those, since the record, and the sums of their losses and norms.
    records: entries in the log; what is written after them is made again on resuming.
    file: the state that this was loaded from, or last saved as, which is known to be whole.
    overrides: settings of `optim` that were changed on resuming, by field.
    """

    schedule: Schedule
    history: ValidationHistory
    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    records: int = 0
    pending: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    folded: Folded = (0.0, 0.0, 0.0)
    file: str | None = None
    overrides: Mapping[str, float] = field(default_factory=dict)

    def rate(self, step: int) -> float:
        """The learning rate of a step, counted from 0."""
        return self.schedule.rate(step)

    @property
    def total_steps(self) -> int:
        """How many steps the run takes, as far as is known."""
        return self.schedule.total_steps

    @property
    def finished(self) -> bool:
        """Whether no step is left to make."""
        return self.step >= self.total_steps or self.history.out_of_patience
