"""Optimizers by parameter groups, Muon, and learning-rate schedules."""

from __future__ import annotations

from hornbook.optim.groups import build_optimizer
from hornbook.optim.schedules import learning_rate

__all__ = ["build_optimizer", "learning_rate"]
