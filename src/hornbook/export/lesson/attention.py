"""Attention: each position looks at itself and the earlier ones, and averages what it finds there.

T new positions, S positions in all, H heads, G heads of keys and values, D channels of a head.
"""

from __future__ import annotations

import numpy as np

from hornbook.export.lesson.arithmetic import softmax
from hornbook.export.lesson.weights import Array


def attend(q: Array, k: Array, v: Array) -> Array:
    """softmax(q k^T / sqrt(D)) v: q (T, H, D), k and v (S, G, D) -> (T, H * D)."""
    T, H, D = q.shape  # noqa: N806
    S, G, _ = k.shape  # noqa: N806
    k, v = k.repeat(H // G, axis=1), v.repeat(H // G, axis=1)  # each serves H / G heads
    scores = q.transpose(1, 0, 2) @ k.transpose(1, 2, 0) / np.float32(D**0.5)  # (H, T, S)
    later = np.arange(S) > np.arange(S - T, S)[:, None]
    weights = softmax(np.where(later, np.float32(-np.inf), scores))
    y: Array = (weights @ v.transpose(1, 0, 2)).transpose(1, 0, 2).reshape(T, H * D)
    return y
