"""Writes into a run directory, wherever it was moved meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hornbook.errors import RunError
from hornbook.runs.commands import resume_command
from hornbook.runs.directory import StoredRun
from hornbook.runs.lock import Lock
from hornbook.training.checkpoint import saved_steps
from hornbook.training.state import TrainingState


class RunWriter:
    """notify: called with a message where the directory was moved."""

    def __init__(
        self, run: StoredRun, lock: Lock, state: TrainingState, notify: Callable[[str], None]
    ) -> None:
        self.run, self.lock, self.state, self.notify = run, lock, state, notify

    def write(self, write: Callable[[Path], None]) -> None:
        """Calls a function with the run directory.

        Raises RunError that says what is saved and how to continue from there.
        """
        self.follow()
        try:
            try:
                write(self.run.path)
            except RunError:
                if not self.follow():
                    raise
                write(self.run.path)
        except RunError as error:
            saved = saved_steps(self.state)
            what = "Nothing is lost but time" if saved is None else f"Step {saved:,} is saved"
            command = resume_command(self.run.path)
            raise RunError(f"{error}. {what}; then resume:\n  {command}") from None

    def follow(self) -> bool:
        """Whether the run directory was moved; from then on it is written where it is now."""
        if not self.lock.follow():
            return False
        self.notify(f"{self.run.path} was moved to {self.lock.path}: continuing there")
        self.run.path = self.lock.path
        return True
