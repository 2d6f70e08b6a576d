"""A WaveNet: positions joined two by two, then four by four, and so on. T positions, C channels."""

from __future__ import annotations

import numpy as np

from hornbook.export.lesson.model import MODELS, Model
from hornbook.export.lesson.notes_layers import normalize, product
from hornbook.export.lesson.weights import Array


class WaveNet(Model):
    """Embedding, levels of causal convolutions of width 2, dilated by 1, 2, 4, ..., a last layer."""

    def reset(self) -> None:
        """Forgets the last 2^level inputs of each level."""
        super().reset()
        self.inputs: dict[int, Array] = {}

    def forward(self, ids: Array) -> Array:
        """(T,) -> (T, V)."""
        w = self.weights
        x = w["embedding.weight"][ids]  # (T, C)
        for level in range(self.context_length.bit_length() - 1):
            back, name = 2**level, f"levels.{level}.layers."
            if level not in self.inputs:  # before the start, the start repeated
                self.inputs[level] = x[:1].repeat(back, axis=0)
            joined = np.concatenate([self.inputs[level], x])
            self.inputs[level] = joined[-back:]
            y = product(np.concatenate([joined[: len(x)], x], axis=-1), w, name + "0.")
            if self.config["norm"] != "none":
                y = normalize(y, w, name + "1.")
            y = np.tanh(y)
            x = y + x if self.config["residual"] and level else y
        return product(x, w, "head.")


MODELS["wavenet"] = WaveNet
