"""What the validation losses have been: the best so far, overfitting, when to stop."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from hornbook.metrics.overfitting import overfitting


@dataclass
class ValidationHistory:
    """The evaluations of a run. Part of its state.

    seen: (step, training loss, validation loss) of each evaluation. reported: whether overfitting
    since the best one was reported.
    """

    patience: int = 0
    best: float = math.inf
    best_step: int = 0
    since_best: int = 0
    reported: bool = False
    seen: list[tuple[int, float, float]] = field(default_factory=list)

    def add(self, step: int, loss: float, val_loss: float) -> bool:
        """Adds an evaluation; True where it is the best so far."""
        self.seen.append((step, loss, val_loss))
        if val_loss < self.best:
            self.best, self.best_step = val_loss, step
            self.since_best, self.reported = 0, False
            return True
        self.since_best += 1
        return False

    @property
    def overfitting_since(self) -> int | None:
        """The step after which the validation loss rose, twice in a row, while the training loss
        fell; None where it did not."""
        return None if overfitting(self.seen) is None else self.best_step

    def message(self) -> str:
        """Overfitting in plain words, once for each best; else empty."""
        since = self.overfitting_since
        if since is None or self.reported:
            return ""
        self.reported = True
        _, loss, val_loss = self.seen[-1]
        before = " or before" if since == self.seen[0][0] else ""  # there was no evaluation earlier
        return (
            f"overfitting since step {since}{before}: the validation loss rose from {self.best:.4f} "
            f"to {val_loss:.4f} while the training loss fell to {loss:.4f}: the model memorizes its "
            f"training text. The weights of step {since} are kept; more text, a smaller model, "
            "dropout or fewer steps help"
        )

    @property
    def out_of_patience(self) -> bool:
        """Whether there were as many evaluations without a new best as the settings allow."""
        return bool(self.patience) and self.since_best >= self.patience

    def to_json(self) -> dict[str, Any]:
        """As plain data; in the file format `reported` is named `told`."""
        data = asdict(self)
        data["told"] = data.pop("reported")
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Back from the JSON of `to_json`, where infinity and NaN are null."""
        best = math.inf if data["best"] is None else data["best"]
        seen = [tuple(math.nan if x is None else x for x in entry) for entry in data["seen"]]
        fields = {**data, "best": best, "seen": seen, "reported": data["told"]}
        del fields["told"]
        return cls(**fields)
