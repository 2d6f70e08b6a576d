from __future__ import annotations

import numpy as np

from hornbook.export.lesson.model import BoundedModel
from hornbook.export.lesson.weights import Array


class Recorder(BoundedModel):
    """Notes what it reads."""

    window = "half"

    def reset(self) -> None:
        super().reset()
        self.reads: list[list[int]] = []

    def forward(self, ids: Array) -> Array:
        self.reads.append(ids.tolist())
        return np.zeros((len(ids), 5))


def test_when_the_context_is_full_the_newer_half_is_read_again() -> None:
    model = Recorder({}, {"context_length": 4}, 5, None)
    model.start([9, 1, 2, 3, 4])
    assert model.reads == [[1, 2, 3, 4]]  # the last that fit
    model.step(5)
    assert model.reads == [[4, 5]]
    model.step(6)
    assert model.reads == [[4, 5], [6]]
    assert model.ids == [4, 5, 6]


def test_a_sliding_window_is_read_again_at_each_token() -> None:
    model = Recorder({}, {"context_length": 3}, 5, None)
    model.window = "sliding"
    model.start([1, 2, 3])
    model.step(4)
    assert model.reads == [[2, 3, 4]]
