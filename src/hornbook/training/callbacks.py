"""What may watch a run: progress bars, trackers, tests. Nothing here changes a result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

Write = Callable[[Callable[[Path], None]], None]

if TYPE_CHECKING:
    from hornbook.planning.plan import Plan
    from hornbook.runs.directory import StoredRun


class Callback:
    """Override what is of interest; each method does nothing here."""

    def planned(self, plan: Plan) -> None:
        """Before the first update: what is going to happen."""

    def opened(self, write: Write, tell: Callable[[str], None]) -> None:
        """Before `started`: `write(function)` calls a function with the run directory, wherever it
        was moved meanwhile; `tell(message)` says something to all callbacks."""

    def started(self, run: StoredRun, step: int, steps: int) -> None:
        """The run directory is there and updates `step` to `steps` follow."""

    def counted(self, steps: int) -> None:
        """The updates in all are other ones from here on (`--minutes`)."""

    def watches(self, step: int) -> bool:
        """Whether update `step` is to be made by itself, so that it can be looked at."""
        return False

    def updating(self, step: int) -> None:
        """Right before update `step`, counted from 0."""

    def updated(self, step: int) -> None:
        """Right after update `step`: gradients and new weights are there."""

    def logged(self, record: dict[str, Any]) -> None:
        """A record of the log: mean loss since the last, and with `val_loss` an evaluation."""

    def sampled(self, step: int, texts: Sequence[str]) -> None:
        """A few samples of the model as it is."""

    def told(self, message: str) -> None:
        """Something in plain words, such as overfitting."""

    def finished(self, run: StoredRun) -> None:
        """The report is written."""

    def ended(self) -> None:
        """The loop is left, in whatever way."""
