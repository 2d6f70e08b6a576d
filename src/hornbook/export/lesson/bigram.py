"""A bigram: one row of logits for each token."""

from __future__ import annotations

from hornbook.export.lesson.model import MODELS, Model
from hornbook.export.lesson.weights import Array


class Bigram(Model):
    """A table."""

    def forward(self, ids: Array) -> Array:
        """(T,) -> (T, V)."""
        logits: Array = self.weights["weight"][ids]
        return logits


MODELS["bigram"] = Bigram
