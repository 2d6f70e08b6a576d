"""Losses and gradient norms of the steps since the last record, read from the device together.

On a GPU this is where a loss that is not finite is found: no step waits for the device, and nothing is
saved that was not read here.
"""

from __future__ import annotations

import math

import torch

from hornbook.engine.step import NotFiniteError
from hornbook.training.state import Folded, TrainingState

MOST_PENDING = 1000  # losses kept one by one, between two records


class LossRecorder:
    """Means of the pending losses of a state.

    losses: the mean of each record, for messages. seconds: spent on steps up to the last record.
    """

    def __init__(self, state: TrainingState) -> None:
        self.state = state
        self.losses: list[float] = []
        self.seconds = 0.0

    def read(self) -> tuple[list[float], list[float]]:
        """The pending losses and gradient norms. Raises NotFiniteError for the first that is not."""
        pending = self.state.pending
        if not pending:
            return [], []
        pairs = torch.stack([torch.stack(pair) for pair in pending])
        losses, norms = pairs.double().T.tolist()
        first = self.state.step - len(losses)
        for i, (loss, norm) in enumerate(zip(losses, norms, strict=True)):
            if not math.isfinite(loss + norm):
                self.losses += losses[:i]
                raise NotFiniteError(first + i, loss, norm)
        return losses, norms

    def fold(self) -> Folded:
        """Number of steps since the last record, sums of their losses and norms."""
        losses, norms = self.read()
        n, loss, norm = self.state.folded
        self.state.pending = []
        self.state.folded = n + len(losses), loss + sum(losses), norm + sum(norms)
        return self.state.folded

    def flush(self) -> Folded:
        """The same, which begins anew after it: number of steps, mean loss, mean norm."""
        n, loss, norm = self.fold()
        self.state.folded = (0.0, 0.0, 0.0)
        self.losses.append(loss / n)
        return n, loss / n, norm / n
