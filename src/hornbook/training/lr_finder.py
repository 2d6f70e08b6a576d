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

from hornbook.errors import ConfigError
from hornbook.training.plan import Plan
from hornbook.training.step import TrainStep

SMOOTH = 25  # the curve is averaged over a 25th of its length
AROUND = 3.0  # the rates confirmed are this factor apart
TAIL = 5  # the loss of a confirmation is the mean over its last fifth


@dataclass(frozen=True)
class Sweep:
    """rates and losses of the sweep; `suggested` by its curve; (rate, loss) of the confirmation.

    best: the confirmed rate with the lowest loss; inf losses are runs that diverged.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    suggested: float
    confirmed: tuple[tuple[float, float], ...]

    @property
    def best(self) -> float:
        """The rate that did best in the confirmation."""
        return min(self.confirmed, key=lambda pair: pair[1])[0]

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
    if not 0 < low < high:
        raise ConfigError(f"low, high: found {low} and {high}, expected 0 < low < high")
    if updates < 20:
        raise ConfigError(f"updates: found {updates}, expected at least 20")
    rates = np.geomspace(low, high, updates)
    losses = _train(plan, rates.tolist())
    suggested = suggest(rates, losses)
    confirmed = [
        (rate, _tail(_train(plan, [rate] * updates)))
        for rate in (suggested / AROUND, suggested, suggested * AROUND)
    ]
    return Sweep(tuple(rates.tolist()), tuple(losses), suggested, tuple(confirmed))


def suggest(rates: np.ndarray[Any, Any], losses: list[float]) -> float:
    """A third of the rate at which the smoothed loss is lowest.

    Beyond the lowest point the loss is already on its way up; the steepest slope, which others take,
    says where learning began.
    """
    window = max(1, len(losses) // SMOOTH)
    finite = np.nan_to_num(np.array(losses), nan=np.inf)
    smooth = np.convolve(np.minimum(finite, 1e9), np.ones(window) / window, "valid")
    return float(rates[window // 2 + int(np.argmin(smooth))]) / AROUND


def _train(plan: Plan, rates: list[float]) -> list[float]:
    """The losses of a copy of the model, trained with these rates; inf from where it diverges."""
    losses: list[float] = []
    with torch.random.fork_rng(devices=[plan.device] if plan.device.type == "cuda" else []):
        torch.manual_seed(plan.config.training.seed)
        step = TrainStep(copy.deepcopy(plan.model), plan.batches, plan.config, plan.precision)
        step.model.train()
        for i, rate in enumerate(rates):
            step.learning_rate = lambda _, rate=rate: rate  # type: ignore[method-assign,misc]
            losses.append(step(i)[0].item())
            if not math.isfinite(losses[-1]):
                losses += [math.inf] * (len(rates) - len(losses))
                losses[i] = math.inf
                break
    return losses


def _tail(losses: list[float]) -> float:
    last = losses[-max(1, len(losses) // TAIL) :]
    return sum(last) / len(last)
