"""A bag of words: each position sees the plain average of its text so far. T positions, C channels."""

from __future__ import annotations

import numpy as np

from hornbook.export.lesson.arithmetic import linear
from hornbook.export.lesson.model import MODELS, BoundedModel
from hornbook.export.lesson.weights import Array


class Bow(BoundedModel):
    """Embeddings, their average so far, a small MLP, a head."""

    def reset(self) -> None:
        """Forgets the sum of the embeddings."""
        super().reset()
        self.total = np.zeros(self.config["n_embd"], np.float32)

    def forward(self, ids: Array) -> Array:
        """(T,) -> (T, V)."""
        w, positions = self.weights, len(self.ids) + np.arange(len(ids))
        x = w["token_embedding.weight"][ids] + w["position_embedding.weight"][positions]  # (T, C)
        totals = self.total + x.cumsum(0)
        self.total = totals[-1]
        x = x + totals / (positions + 1).astype(np.float32)[:, None]
        hidden = np.tanh(linear(x, w["mlp.0.weight"], w["mlp.0.bias"]))
        x = x + linear(hidden, w["mlp.2.weight"], w["mlp.2.bias"])
        return linear(x, w["head.weight"], w["head.bias"])


MODELS["bow"] = Bow
