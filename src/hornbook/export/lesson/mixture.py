"""A mixture: the probabilities of several models, averaged. V vocabulary."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hornbook.export.lesson.arithmetic import log_softmax
from hornbook.export.lesson.model import MODELS, Model
from hornbook.export.lesson.weights import Array, within


class Mixture(Model):
    """log of the weighted mean of the components' probabilities."""

    def __init__(
        self, weights: dict[str, Array], config: dict[str, Any], vocab_size: int, end_id: int | None
    ) -> None:
        self.parts = [
            MODELS[part["name"]](within(weights, f"models.{i}."), part, vocab_size, end_id)
            for i, part in enumerate(config["components"])
        ]
        super().__init__(weights, config, vocab_size, end_id)

    def start(self, ids: Sequence[int]) -> Array:
        """Each component by itself, with as much context as it has."""
        return self.mean([part.start(ids) for part in self.parts])

    def step(self, token: int) -> Array:
        """Each component by itself."""
        return self.mean([part.step(token) for part in self.parts])

    def mean(self, logits: list[Array]) -> Array:
        """The logarithm of the mean, from the logits (V,) of each."""
        share = np.log(np.array(self.config["weights"], np.float32))
        log_p = np.stack([log_softmax(x) + s for x, s in zip(logits, share, strict=True)])
        top = log_p.max(0)
        mean: Array = top + np.log(np.exp(log_p - top).sum(0))
        return mean


MODELS["mixture"] = Mixture
