"""Training: plan, step, loop, and what is done beside it. `train` is the way in."""

from __future__ import annotations

from hornbook.training.callbacks import Callback
from hornbook.training.loop import Interrupted
from hornbook.training.plan import Plan, make_plan
from hornbook.training.start import resume, train

__all__ = ["Callback", "Interrupted", "Plan", "make_plan", "resume", "train"]
