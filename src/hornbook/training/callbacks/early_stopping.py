"""Says when a run overfits, and why it stops early."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hornbook.errors import counted
from hornbook.training.callbacks.base import Callback


class EarlyStopping(Callback):
    """Reports overfitting, and ends the run where patience has run out."""

    def on_log(self, record: Mapping[str, Any]) -> None:
        """After an evaluation."""
        history = self.trainer.state.history
        if "val_loss" not in record:
            return
        if message := history.message():
            self.trainer.notify(message)
        if history.out_of_patience:
            self.trainer.state.stopped = True
            self.trainer.notify(
                f"stopped at step {record['step']}: {counted(history.since_best, 'evaluation')} "
                f"without a better validation loss than that of step {history.best_step}"
            )
