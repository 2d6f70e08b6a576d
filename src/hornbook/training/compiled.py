"""torch.compile where it pays back: one update's loss, or several whole updates in one call.

At the notes' sizes an update is a hundred small operations, each of which costs more to start than to
do. Compiled, they are a few loops; and with several updates in one call Python is hardly there.
"""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor
from torch.func import grad_and_value

from hornbook.evaluate import batch_loss
from hornbook.models.base import LanguageModel
from hornbook.training.loss import Functional
from hornbook.training.replay import SPAN

Form = Literal["no", "loss", "updates"]

COST = {"loss": 45.0, "updates": 60.0}  # seconds to compile, as measured (docs/logbook.md)
SAVED = {"loss": 0.1, "updates": 0.15}  # share of the time that it saves, as measured there


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
    balance = (
        f"compiling takes about {COST[form]:.0f} s and would save about {SAVED[form] * seconds:.0f}"
    )
    return (form if seconds >= pays_from(form) else "no"), balance


def pays_from(form: Form) -> float:
    """Seconds of a run from which compiling is worth its time twice over."""
    return 2 * COST[form] / SAVED[form]


def compiled_loss(device: torch.device) -> Callable[..., Tensor]:
    """The loss of a batch compiled; on a GPU its kernels and those of its gradients are recorded too
    and started as one (CUDA graphs). What a call gives is overwritten by the next."""
    mode = "reduce-overhead" if device.type == "cuda" else None
    compiled: Callable[..., Tensor] = torch.compile(batch_loss, dynamic=False, mode=mode)
    return compiled


class Updates:
    """SPAN updates of plain gradient descent in one compiled call.

    `call(ids (SPAN, B, T), targets, rates (SPAN,))` changes the model and gives losses and norms of
    the gradients, (2, SPAN); or None, and nothing is changed, where one of them is no number.
    """

    def __init__(self, model: LanguageModel) -> None:
        self.model, self._loss = model, Functional(model)
        model.compute_plainly(True)  # torch.func sees through those, and the compiler joins them
        self._compiled: Callable[..., Any] = torch.compile(self._several, dynamic=False)

    def __call__(self, ids: Tensor, targets: Tensor, rates: Tensor) -> Tensor | None:
        """See above."""
        parameters, buffers = list(self.model.parameters()), list(self.model.buffers())
        with torch.no_grad():
            new, statistics, figures = self._compiled(parameters, buffers, ids, targets, rates)
            if not math.isfinite(figures.sum()):
                return None
            for own, found in zip((*parameters, *buffers), (*new, *statistics), strict=True):
                own.copy_(found)
        result: Tensor = figures
        return result

    def _several(
        self,
        parameters: list[Tensor],
        buffers: list[Tensor],
        ids: Tensor,
        targets: Tensor,
        rates: Tensor,
    ) -> tuple[list[Tensor], list[Tensor], Tensor]:
        figures = []
        for i in range(SPAN):
            gradients, (loss, buffers) = grad_and_value(self._loss.figure, has_aux=True)(
                parameters, buffers, ids[i], targets[i]
            )
            parameters = [p - rates[i] * g for p, g in zip(parameters, gradients, strict=True)]
            squares = torch.stack([g.square().sum() for g in gradients])
            figures.append(torch.stack([loss, squares.sum().sqrt()]))
        return parameters, buffers, torch.stack(figures, dim=1)
