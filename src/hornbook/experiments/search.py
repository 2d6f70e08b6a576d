"""What a search tries next: ranges and choices of settings, and optuna, which proposes points in them.

optuna is an extra (`pip install 'hornbook[sweep]'`), imported when a search is asked for.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hornbook.errors import ConfigError

Point = dict[str, Any]  # a value of each setting that is varied, by dotted name
DIGITS = 3  # significant digits of a learning rate or the like that is tried
SEED = 1337  # of the proposals


@dataclass(frozen=True)
class Range:
    """Numbers from low to high: whole ones where both ends are, by ratio where the ends are positive
    and at least a factor of ten apart."""

    low: float
    high: float

    @classmethod
    def parse(cls, setting: str, text: str) -> Range:
        """A range written as `1e-4..1e-2` or `2..8`. Raises ConfigError."""
        low, _, high = text.partition("..")
        try:
            ends = [_number(low), _number(high)]
        except ValueError:
            ends = [math.nan]
        if not all(math.isfinite(end) for end in ends) or not ends[0] < ends[-1]:
            raise ConfigError(
                f"{setting}: found {text!r}, expected a range of numbers, the lower one first, as in "
                "1e-4..1e-2"
            )
        return cls(*ends)

    @property
    def whole(self) -> bool:
        """Whether its numbers are whole."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    @property
    def by_ratio(self) -> bool:
        """Whether it is searched on a logarithmic scale."""
        return self.low > 0 and self.high / self.low >= 10

    def rounded(self, value: float) -> float:
        """A number of the range, short enough to be read and typed."""
        if self.whole:
            return round(value)
        return min(self.high, max(self.low, float(f"{value:.{DIGITS}g}")))


def _number(text: str) -> float:
    try:
        return int(text)
    except ValueError:
        return float(text)


Space = Mapping[str, Range | Sequence[Any]]  # of each setting a range, or the values to choose from


class Search:
    """Proposes points of a space by optuna's tree-structured Parzen estimator (Bergstra et al. 2011).

    A proposal depends on the space and on what was tried before, so that a search that was
    interrupted continues as it would have without.
    """

    def __init__(self, space: Space) -> None:
        try:
            self._optuna: Any = importlib.import_module("optuna")
        except ImportError:
            raise ConfigError(
                "trials: a search needs optuna, which is not installed; install it with "
                "pip install 'hornbook[sweep]', or leave out trials and list the values to try"
            ) from None
        self._optuna.logging.set_verbosity(self._optuna.logging.WARNING)
        of = self._optuna.distributions
        self.space = space
        self._distributions = {
            name: (of.IntDistribution if values.whole else of.FloatDistribution)(
                values.low, values.high, log=values.by_ratio
            )
            if isinstance(values, Range)
            else of.CategoricalDistribution(list(values))
            for name, values in space.items()
        }

    def propose(self, tried: Sequence[tuple[Point, float]]) -> Point:
        """A point to try after these points and their losses (infinite where it failed)."""
        optuna = self._optuna
        sampler = optuna.samplers.TPESampler(seed=SEED + len(tried))
        study = optuna.create_study(sampler=sampler)
        for point, loss in tried:
            known = optuna.trial.create_trial(
                params=point, distributions=self._distributions, value=loss
            )
            study.add_trial(known)
        params = study.ask(self._distributions).params
        return {
            name: values.rounded(params[name]) if isinstance(values, Range) else params[name]
            for name, values in self.space.items()
        }
