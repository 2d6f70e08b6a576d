"""The learning-rate sweep of the notes, and a short confirmation, since a sweep alone misleads.

The sweep raises the learning rate exponentially, step by step, and records the loss of each step (the
notes, "Trigram+MLP": 10^-3 to 10^0; Smith 2017). Its curve mixes the effect of a learning rate with
what the ones before it have learned, so the suggestion is then tried: three learning rates, each from
the same first weights for as many steps.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np

from hornbook.engine.device import preserve_rng_state, use_threads
from hornbook.engine.step import NotFiniteError, OptimizerStep
from hornbook.errors import ConfigError
from hornbook.parallel.launch import alone
from hornbook.planning.plan import Plan
from hornbook.stages import tracked
from hornbook.table import Tabular

DIVERGED = 1e9  # nats that stand for infinity in the smoothed curve
SMOOTH = 25  # the curve is averaged over a 25th of its length
AROUND = 3.0  # the learning rates that are confirmed are this factor apart
TAIL = 5  # the loss of a confirmation is the mean over its last fifth


@dataclass(frozen=True, repr=False)
class LearningRateSweep(Tabular):
    """Learning rates and losses of the sweep, inf once it diverged; what its curve suggests.

    suggested: None where the sweep diverged too soon for a curve.
    confirmed: (learning rate, loss) of those that were tried; the loss of one that diverged is inf.
    muon: the learning rate of Muon's matrices by the others'; None without Muon.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    suggested: float | None
    confirmed: tuple[tuple[float, float], ...]
    muon: float | None = None

    @property
    def best(self) -> float | None:
        """The learning rate of the lowest loss that was confirmed; None where none is below the first
        loss of the sweep."""
        learned = [pair for pair in self.confirmed if pair[1] < self.losses[0]]
        return min(learned, key=lambda pair: pair[1])[0] if learned else None

    @property
    def diverged(self) -> bool:
        """Whether every learning rate that was tried diverged."""
        return not any(math.isfinite(loss) for _, loss in self.confirmed)

    def table_rows(self) -> list[list[str]]:
        """The learning rates that were tried, and their losses."""
        rows = [
            [f"{rate:.3g}", f"{loss:.4f}" if math.isfinite(loss) else "diverged"]
            for rate, loss in self.confirmed
        ]
        return [["learning rate", "loss"], *rows]

    def table_notes(self) -> list[str]:
        """The best of them."""
        return [f"best: {'none' if self.best is None else format(self.best, '.3g')}"]

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "rates": self.rates,
            "losses": [loss if math.isfinite(loss) else None for loss in self.losses],
            "suggested": self.suggested,
            "confirmed": [
                {"rate": rate, "loss": loss if math.isfinite(loss) else None}
                for rate, loss in self.confirmed
            ],
            "best": self.best,
            "muon": self.muon,
        }


def find_learning_rate(
    plan: Plan, *, low: float = 1e-3, high: float = 1.0, steps: int = 300
) -> LearningRateSweep:
    """Sweeps the learning rate of a plan from low to high and confirms around the suggestion.

    Raises ConfigError for a model that is not trained by gradients, and for bounds or steps that are
    not possible.
    """
    alone("lr-find")
    if plan.shape.fitted:
        raise ConfigError(
            f"model: {plan.config.model.name} is fitted by counting; it has no learning rate"
        )
    if not 0 < low < high < math.inf:
        raise ConfigError(
            f"low, high: found {low} and {high}, expected 0 < low < high, both finite"
        )
    if steps < 20:
        raise ConfigError(f"steps: found {steps}, expected at least 20")
    rates = np.geomspace(low, high, steps)
    losses = _train(plan, rates.tolist(), "sweep of learning rates")
    suggested = suggest(rates, losses)
    tried = [suggested / AROUND, suggested, suggested * AROUND] if suggested is not None else []
    confirmed = [
        (rate, fmean(_train(plan, [rate] * steps, f"trial of {rate:.3g}")[-tail_of(steps) :]))
        for rate in tried
    ]
    optim = plan.config.optim
    muon = optim.muon_learning_rate / optim.learning_rate if optim.name == "muon" else None
    return LearningRateSweep(
        tuple(rates.tolist()), tuple(losses), suggested, tuple(confirmed), muon
    )


def tail_of(steps: int) -> int:
    """The last steps of a trial, whose mean loss is its loss."""
    return steps // TAIL


def suggest(rates: np.ndarray[Any, Any], losses: list[float]) -> float | None:
    """A third of the learning rate at which the smoothed loss is lowest; None where it diverged before
    there was anything to smooth.

    Beyond the lowest point the loss is already on its way up; the steepest slope, which others take,
    says where learning began.
    """
    window = max(1, len(losses) // SMOOTH)
    finite = np.nan_to_num(np.array(losses), nan=np.inf)
    smooth = np.convolve(np.minimum(finite, DIVERGED), np.ones(window) / window, "valid")
    if smooth.min() >= DIVERGED / window:
        return None
    return float(rates[window // 2 + int(np.argmin(smooth))]) / AROUND


def _train(plan: Plan, rates: Sequence[float], what: str) -> list[float]:
    """The losses of steps at these learning rates from the first weights; inf once it diverges.

    what: is said while it runs.
    """
    losses: list[float] = []
    with preserve_rng_state(plan.device), use_threads(plan.threads):
        model, batches = plan.build_model().train(), plan.build_batches()
        step = OptimizerStep(
            model, batches, plan.config, plan.precision, learning_rate=rates.__getitem__
        )
        for i in tracked(what, range(len(rates))):
            try:
                loss = step(i)[0].item()
            except NotFiniteError:
                loss = math.nan
            if not math.isfinite(loss):
                break
            losses.append(loss)
    return losses + [math.inf] * (len(rates) - len(losses))
