"""A run that died half-way, as in the tests of training."""

from __future__ import annotations

from pathlib import Path

from hornbook.api import Run
from tests.training.conftest import copy, corpus, half

__all__ = ["copy", "corpus", "half", "read"]


def read(path: Path) -> None:
    """Reads all that a run holds."""
    run = Run.load(path)
    _ = run.log, run.report, run.model
