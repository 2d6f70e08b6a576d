"""An MLP over the last few tokens, whose embeddings lie side by side. T positions."""

from __future__ import annotations

import numpy as np

from hornbook.export.lesson.model import MODELS, Model
from hornbook.export.lesson.notes_layers import ACTIVATIONS, normalize, product
from hornbook.export.lesson.weights import Array


class MLP(Model):
    """Embeddings, hidden layers with an activation, logits."""

    def forward(self, ids: Array) -> Array:
        """(T,) -> (T, V)."""
        w, c, n = self.weights, self.config, self.context_length
        before = self.ids[-n:] or [int(ids[0])]
        before = before[:1] * (n - len(before)) + before  # before the start, the start repeated
        row = np.array([*before, *ids])
        windows = np.stack([row[t + 1 : t + n + 1] for t in range(len(ids))])  # (T, n)
        x = w["net.layers.0.weight"][windows].reshape(len(ids), -1)
        layer = 2
        for _ in range(c["n_layer"]):
            x = product(x, w, f"net.layers.{layer}.")
            layer += 1
            if c["norm"] != "none":
                x = normalize(x, w, f"net.layers.{layer}.")
                layer += 1
            x = ACTIVATIONS[c["activation"]](x)
            layer += 2 if c["dropout"] else 1
        x = product(x, w, f"net.layers.{layer}.")
        return normalize(x, w, f"net.layers.{layer + 1}.") if c["norm_logits"] else x


MODELS["mlp"] = MLP
