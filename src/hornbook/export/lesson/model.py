"""What every model does: it reads tokens one after the other, and predicts the next.

T tokens read at once, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hornbook.export.lesson.weights import Array


class Model:
    """A model that is reading one text. A subclass says in `forward` what it predicts."""

    def __init__(
        self, weights: dict[str, Array], config: dict[str, Any], vocab_size: int, end_id: int | None
    ) -> None:
        self.weights, self.config = weights, config
        self.vocab_size, self.end_id = vocab_size, end_id
        self.context_length = int(config.get("context_length", 1))
        self.reset()

    def reset(self) -> None:
        """Forgets what was read."""
        self.ids: list[int] = []

    def forward(self, ids: Array) -> Array:
        """The logits after each of the next tokens, (T,) -> (T, V); `self.ids` are those before."""
        raise NotImplementedError

    def read(self, ids: Sequence[int]) -> Array:
        """Reads more tokens -> the logits after each, (T, V)."""
        logits = self.forward(np.array(ids))
        self.ids += map(int, ids)
        return logits

    def start(self, ids: Sequence[int]) -> Array:
        """Reads the beginning of a text -> the logits after it, (V,)."""
        self.reset()
        last: Array = self.read(ids)[-1]
        return last

    def step(self, token: int) -> Array:
        """Reads one more token -> the logits after it, (V,)."""
        last: Array = self.read([token])[-1]
        return last


class BoundedModel(Model):
    """A model that sees at most `context_length` tokens since the first that it remembers.

    When it is full it reads the newer half again (window "half"), or at each token all but the oldest
    ("sliding").
    """

    window = "half"

    def start(self, ids: Sequence[int]) -> Array:
        """Reads the last `context_length` tokens."""
        return super().start(ids[-self.context_length :])

    def step(self, token: int) -> Array:
        """Reads one more token, or the window again."""
        if len(self.ids) < self.context_length:
            return super().step(token)
        n = self.context_length
        if self.window == "half":
            n = max(1, n // 2)
        return self.start([*self.ids, token][-n:])


MODELS: dict[str, type[Model]] = {}  # by name
