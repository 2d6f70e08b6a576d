"""torch.compile where it pays back: one update's loss, or several whole updates in one call.

The updates of small models are compiled as they were recorded (`replay.py`).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from hornbook.metrics.loss import batch_loss

Form = Literal["no", "loss", "updates"]

COST = {"loss": 45.0, "updates": 20.0}  # seconds to compile, as measured (docs/logbook.md)
SAVED = {"loss": 0.1, "updates": 0.4}  # share of the time that it saves, as measured there


def compiler(device: torch.device) -> bool:
    """Whether torch.compile can work here: a C++ compiler, on a GPU Triton."""
    if device.type == "cuda":
        import importlib.util

        return importlib.util.find_spec("triton") is not None
    return any(shutil.which(name) for name in (os.environ.get("CXX") or "g++", "clang++", "cl"))


def choose_form(form: Form, asked: str, seconds: float, device: torch.device) -> tuple[Form, str]:
    """What is compiled, and why. `seconds`: what the run takes if nothing is.

    form: what could be compiled. asked: the setting.
    """
    if asked == "no":
        return "no", "as told"
    if not compiler(device):
        return "no", "found no C++ compiler" if device.type == "cpu" else "found no Triton"
    if asked == "yes":
        return form, "as told"
    if form == "loss" and device.type == "cpu":  # 7% after 35 s and more (docs/logbook.md)
        return "no", "on a CPU a compiled loss gains too little, as measured"
    if seconds < pays_from(form):
        return "no", f"it pays back from {pays_from(form):.0f} s of updates on; these take less"
    saved = SAVED[form] * seconds
    return form, f"compiling takes about {COST[form]:.0f} s and would save about {saved:.0f}"


def pays_from(form: Form) -> float:
    """Seconds of a run from which compiling is worth its time twice over."""
    return 2 * COST[form] / SAVED[form]


def compiled_loss(device: torch.device) -> Callable[..., Tensor]:
    """The loss of a batch compiled; on a GPU its kernels and those of its gradients are recorded too
    and started as one (CUDA graphs). What a call gives is overwritten by the next."""
    mode = "reduce-overhead" if device.type == "cuda" else None
    compiled: Callable[..., Tensor] = torch.compile(batch_loss, dynamic=False, mode=mode)
    return compiled
