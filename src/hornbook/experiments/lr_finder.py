"""The learning-rate sweep of the notes, and a short confirmation, since a sweep alone misleads.

The sweep raises the rate exponentially, update by update, and records the loss of each (the notes,
"Trigram+MLP": 10^-3 to 10^0; Smith 2017). Its curve mixes the effect of a rate with what the rates
before it have learned, so the suggestion is then tried: three rates, each from the same start for
the same few updates.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from hornbook.engine.device import generators_kept
from hornbook.engine.step import NotFiniteError, TrainStep
from hornbook.errors import ConfigError
from hornbook.planning.plan import Plan

DIVERGED = 1e9  # nats that stand for infinity in the smoothed curve
SMOOTH = 25  # the curve is averaged over a 25th of its length
AROUND = 3.0  # the rates confirmed are this factor apart
TAIL = 5  # the loss of a confirmation is the mean over its last fifth


@dataclass(frozen=True)
class Sweep:
    """rates and losses of the sweep, inf from where it diverged; what it suggests by its curve.

    suggested: None where the sweep diverged too soon for a curve.
    confirmed: (rate, loss) of the rates tried; inf losses are runs that diverged.
    muon: how many times each rate Muon's matrices had; None without Muon.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    suggested: float | None
    confirmed: tuple[tuple[float, float], ...]
    muon: float | None = None

    @property
    def best(self) -> float | None:
        """The rate that did best in the confirmation; None where none came below the first loss."""
        learned = [pair for pair in self.confirmed if pair[1] < self.losses[0]]
        return min(learned, key=lambda pair: pair[1])[0] if learned else None

    @property
    def diverged(self) -> bool:
        """Whether every rate that was tried diverged."""
        return not any(math.isfinite(loss) for _, loss in self.confirmed)

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
    plan: Plan, *, low: float = 1e-3, high: float = 1.0, updates: int = 300
) -> Sweep:
    """Sweeps the learning rate of a plan from low to high and confirms around the suggestion.

    The plan's model is left as it is. Raises ConfigError for a model that is not trained by
    gradients, or for bounds that are none.
    """
    if plan.model.fitted:
        raise ConfigError(
            f"model: {plan.config.model.name} is fitted by counting; it has no learning rate"
        )
    if not 0 < low < high < math.inf:
        raise ConfigError(
            f"low, high: found {low} and {high}, expected 0 < low < high, both finite"
        )
    if updates < 20:
        raise ConfigError(f"updates: found {updates}, expected at least 20")
    rates = np.geomspace(low, high, updates)
    losses = _train(plan, rates.tolist())
    suggested = suggest(rates, losses)
    tried = [suggested / AROUND, suggested, suggested * AROUND] if suggested is not None else []
    confirmed = [(rate, _tail(_train(plan, [rate] * updates))) for rate in tried]
    optim = plan.config.optim
    muon = optim.muon_learning_rate / optim.learning_rate if optim.name == "muon" else None
    return Sweep(tuple(rates.tolist()), tuple(losses), suggested, tuple(confirmed), muon)


def suggest(rates: np.ndarray[Any, Any], losses: list[float]) -> float | None:
    """A third of the rate at which the smoothed loss is lowest; None where it diverged before there
    was anything to smooth.

    Beyond the lowest point the loss is already on its way up; the steepest slope, which others take,
    says where learning began.
    """
    window = max(1, len(losses) // SMOOTH)
    finite = np.nan_to_num(np.array(losses), nan=np.inf)
    smooth = np.convolve(np.minimum(finite, DIVERGED), np.ones(window) / window, "valid")
    if smooth.min() >= DIVERGED / window:
        return None
    return float(rates[window // 2 + int(np.argmin(smooth))]) / AROUND


def _train(plan: Plan, rates: list[float]) -> list[float]:
    """The losses of a copy of the model, trained with these rates; inf from where it diverges."""
    losses: list[float] = []
    with generators_kept(plan.device):
        torch.manual_seed(plan.config.training.seed)
        step = TrainStep(copy.deepcopy(plan.model), plan.batches, plan.config, plan.precision)
        step.model.train()
        for i, rate in enumerate(rates):
            step.learning_rate = lambda _, rate=rate: rate  # type: ignore[method-assign,misc]
            try:
                loss = step(i)[0].item()
            except NotFiniteError:
                loss = math.nan
            if not math.isfinite(loss):
                break
            losses.append(loss)
    return losses + [math.inf] * (len(rates) - len(losses))


def _tail(losses: list[float]) -> float:
    last = losses[-max(1, len(losses) // TAIL) :]
    return sum(last) / len(last)
