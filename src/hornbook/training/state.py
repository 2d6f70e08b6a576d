"""Where a run is: what changes while it trains, and is saved to resume from.

Losses are read from the device together, at each record. On a GPU this is where a loss that is not
finite is found: no step waits for the device, and nothing is saved that was not read here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from hornbook.engine.step import NotFiniteError
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
    losses: the mean of each record, for messages. recorded: seconds at the last record.
    stopped: no further step is made, however many are left (`callbacks/early_stopping.py`).
    communication: seconds since the last record that were spent on sending, and on waiting for others.
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
    losses: list[float] = field(default_factory=list)
    recorded: float = 0.0
    stopped: bool = False
    communication: float = 0.0

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
        return self.step >= self.total_steps or self.stopped

    def read_losses(self) -> tuple[list[float], list[float]]:
        """The pending losses and gradient norms. Raises NotFiniteError for the first that is not."""
        if not self.pending:
            return [], []
        pairs = torch.stack([torch.stack(pair) for pair in self.pending])
        losses, norms = pairs.double().T.tolist()
        for i, (loss, norm) in enumerate(zip(losses, norms, strict=True)):
            if not math.isfinite(loss + norm):
                self.losses += losses[:i]
                raise NotFiniteError(self.step - len(losses) + i, loss, norm)
        return losses, norms

    def fold_losses(self) -> Folded:
        """Number of steps since the last record, sums of their losses and norms."""
        losses, norms = self.read_losses()
        n, loss, norm = self.folded
        self.pending = []
        self.folded = n + len(losses), loss + sum(losses), norm + sum(norms)
        return self.folded

    def record_losses(self) -> Folded:
        """Number of steps since the last record, mean loss, mean norm; a new record begins."""
        n, loss, norm = self.fold_losses()
        self.folded = (0.0, 0.0, 0.0)
        self.losses.append(loss / n)
        return n, loss / n, norm / n
