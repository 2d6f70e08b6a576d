"""Training: plan, step, loop, and what is done beside it. `train` is the way in."""

from __future__ import annotations

from hornbook.train.callbacks import Callback
from hornbook.train.loop import Interrupted, resume, train
from hornbook.train.plan import Plan, make_plan

__all__ = ["Callback", "Interrupted", "Plan", "make_plan", "resume", "train"]
