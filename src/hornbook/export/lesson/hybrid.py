"""Counts and a network as one: logits = f(ids, log p) + a * log p, with log p of the counts; their
softmax is mixed with p once more, by a weight that was fitted to held-out text.

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
        joined: Array = logits + self.worth(logits, log_p, seen) * log_p
        if "trust" not in self.weights:
            return joined
        log_q, w = log_softmax(joined), self.weights["trust"]
        odds = features(log_q, log_p, seen) @ w[:-1, None] + w[-1]
        y: Array = np.logaddexp(log_q - np.logaddexp(0, -odds), log_p - np.logaddexp(0, odds))
        return y

    def worth(self, logits: Array, log_p: Array, seen: Array) -> Array:
        """The weight a of the counts, (T, 1)."""
        w = self.weights
        known = features(log_softmax(logits), log_p, seen)
        hidden = linear(known, w["gate.0.weight"], w["gate.0.bias"])
        return 1 + linear(np.tanh(hidden), w["gate.2.weight"], w["gate.2.bias"])


def features(log_q: Array, log_p: Array, seen: Array) -> Array:
    """What a context shows: how often each length of it was seen, and the entropy and the largest
    probability of two predictions."""
    found = [np.log1p(seen) / 4]
    for log in (log_p, log_q):
        p = np.exp(log)
        found += [-(p * log).sum(-1, keepdims=True), p.max(-1, keepdims=True)]
    return np.concatenate(found, -1)


MODELS["hybrid"] = Hybrid
