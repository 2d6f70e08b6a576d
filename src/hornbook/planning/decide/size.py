"""The sizes of a GPT, alone or in a hybrid, that a time budget chooses from, and the choice by what
each is expected to reach (`laws.py`)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hornbook.config import Nested
from hornbook.planning.tuning import STEP_GROWTH


@dataclass(frozen=True)
class Size:
    """A size of the GPT: blocks, channels, heads, context in tokens, rows of a batch.

    short: steps below which higher learning rates are better for the network alone.
    """

    n_layer: int
    n_embd: int
    n_head: int
    context_length: int
    batch_size: int
    short: int = 0

    def shared_settings(self) -> dict[str, Any]:
        """The fields of a hybrid that a size decides, and of the network in it."""
        return {
            "context_length": self.context_length,
            "n_layer": self.n_layer,
            "n_head": self.n_head,
            "n_embd": self.n_embd,
        }

    def model_settings(self) -> dict[str, Any]:
        """The fields of a GPT that a size decides."""
        return {
            **self.shared_settings(), "n_kv_head": self.n_head, "n_hidden": 3 * self.n_embd,
        }  # fmt: skip

    def settings(self, order: int | None = None) -> Nested:
        """A configuration of this size; steps, learning rates and dropout are decided later.

        order: of the counts of a hybrid; None: of the network alone.
        """
        model = {"name": "gpt", **self.model_settings()}
        if order is not None:
            model = {"name": "hybrid", "order": order, **self.shared_settings()}
            model |= {
                "count_dropout": 0.0,  # all of the time is for the whole
                "held_back": 0.05,
                "conv_kernel": 4,
            }
        return {
            "model": model,
            "optim": {
                "name": "muon",
                "schedule": "linear",
                "warmup": 40,
                "decay_start": 0.4,
                "min_lr_ratio": 0.0,
                "beta2": 0.98,
                "weight_decay": 0.1,
            },
            "training": {"batch_size": self.batch_size},
        }

    def learning_rates(self, steps: int, *, counts: bool = False) -> tuple[float, float]:
        """Peak learning rates of AdamW and of Muon for so many steps. counts: of a hybrid, which begins
        where counts are and gains nothing by higher ones."""
        if steps < self.short and not counts:
            return 0.02, 0.03
        return 5e-3, 0.02 if self.n_embd > 64 else 0.015


SIZES = {  # by the kind of text
    "documents": {
        "tiny": Size(2, 48, 2, 64, 16, 1300),
        "small": Size(3, 64, 2, 64, 16, 800),
        "medium": Size(4, 128, 2, 64, 24),
    },
    "stream": {
        "tiny": Size(2, 64, 2, 128, 8, 1300),
        "small": Size(2, 96, 3, 128, 8, 800),
        "medium": Size(3, 96, 3, 128, 12, 800),
        "large": Size(4, 128, 4, 128, 12),
        "huge": Size(4, 192, 6, 128, 16),
    },
}
SIZE_FIELDS = frozenset(SIZES["documents"]["tiny"].model_settings())


@dataclass(frozen=True)
class Candidate:
    """A size on a text: the expected loss after how many steps, operations of a step, and the most
    steps that the text is good for."""

    expected_loss: Callable[[float], float]
    operations: float
    max_steps: int | None
    fits_text: bool


def choose_size(
    candidates: Mapping[str, Candidate],
    seconds_left: Callable[[str, float], float],
    measure: Callable[[str], float],
    may_measure: Callable[[], bool],
) -> tuple[str, dict[str, float], dict[str, float]]:
    """The size of the lowest expected loss, seconds of a step of each size that was measured, and the
    expected losses of all that fit the text, by the nearest of those.

    What is expected to be best by an estimate is measured, until the best has been measured.
    seconds_left: for steps, of a size and seconds of its step. measure: seconds of a step of a size.
    may_measure: whether there is time to measure another one.
    """
    seconds: dict[str, float] = {}

    def expected(name: str) -> float:
        candidate = candidates[name]
        each = _step_seconds(name, candidates, seconds)
        steps = max(0.0, seconds_left(name, each)) / each
        return candidate.expected_loss(min(steps, candidate.max_steps or steps))

    fitting = [name for name, candidate in candidates.items() if candidate.fits_text]
    best = next(iter(candidates))
    while best not in seconds:
        if seconds and not may_measure():
            best = min(seconds, key=expected)
            break
        seconds[best] = measure(best)
        best = min(fitting or [best], key=expected)
    return best, seconds, {name: expected(name) for name in {*fitting, best}}


def _step_seconds(
    name: str, candidates: Mapping[str, Candidate], seconds: Mapping[str, float]
) -> float:
    """Seconds of a step: as measured, or by the measured size that is nearest in operations."""
    work = {other: candidates[other].operations for other in candidates}
    near = min(seconds, key=lambda other: abs(math.log(work[other] / work[name])))
    return seconds[near] * float((work[name] / work[near]) ** STEP_GROWTH)
