"""Counts and a network as one: logits = f(ids, log p) + a * log p, with log p of the counts.

T positions, C channels, V vocabulary.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hornbook.export.lesson.arithmetic import linear, log_softmax
from hornbook.export.lesson.counts import Counts
from hornbook.export.lesson.model import MODELS, BoundedModel
from hornbook.export.lesson.weights import Array, within


class Hybrid(BoundedModel):
    """A network that reads the counts, and how much they are worth at each position."""

    def __init__(
        self, weights: dict[str, Array], config: dict[str, Any], vocab_size: int, end_id: int | None
    ) -> None:
        self.counts = Counts(within(weights, "counts."), config["counts"], vocab_size, end_id)
        network = config["network"]
        self.network: Any = MODELS[network["name"]](
            within(weights, "network."), network, vocab_size, end_id
        )
        super().__init__(weights, config, vocab_size, end_id)

    def reset(self) -> None:
        """Forgets the text, in the network too."""
        super().reset()
        self.network.reset()

    def forward(self, ids: Array) -> Array:
        """(T,) -> (T, V)."""
        row, first = [*self.ids, *ids.tolist()], len(self.ids)
        counted = [self.counts.log_probs(row[: t + 1]) for t in range(first, len(row))]
        log_p, seen = (np.stack(parts) for parts in zip(*counted, strict=True))
        centered = (log_p - log_p.mean(-1, keepdims=True)) / 3
        logits = self.network.forward(ids, centered @ self.weights["count_embedding.weight"])
        self.network.ids += ids.tolist()
        y: Array = logits + self.worth(logits, log_p, seen) * log_p
        return y

    def worth(self, logits: Array, log_p: Array, seen: Array) -> Array:
        """The weight a of the counts, (T, 1): from how often each context was seen, and from the
        entropy and the largest probability of the counts and of the network."""
        w, features = self.weights, [np.log1p(seen) / 4]
        for log_q in (log_p, log_softmax(logits)):
            q = np.exp(log_q)
            features += [-(q * log_q).sum(-1, keepdims=True), q.max(-1, keepdims=True)]
        hidden = linear(np.concatenate(features, -1), w["gate.0.weight"], w["gate.0.bias"])
        return 1 + linear(np.tanh(hidden), w["gate.2.weight"], w["gate.2.bias"])


MODELS["hybrid"] = Hybrid
