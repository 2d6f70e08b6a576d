"""From logits to a token: filters, and draws that a seed fixes. V vocabulary."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hornbook.export.lesson.arithmetic import softmax
from hornbook.export.lesson.weights import Array

BITS, GOLDEN = (1 << 64) - 1, 0x9E3779B97F4A7C15


def key_of(seed: int) -> int:
    """The key that hornbook draws from a seed: 64 bits of PyTorch's Mersenne twister."""
    high, low = np.random.RandomState(seed & 0xFFFFFFFF).randint(0, 1 << 32, 2, dtype=np.uint32)
    return (int(high) << 32 | int(low)) % ((1 << 63) - 1)


def mix(z: int) -> int:
    """Scrambles 64 bits (SplitMix64, Steele, Lea and Flood 2014)."""
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & BITS
    z = (z ^ z >> 27) * 0x94D049BB133111EB & BITS
    return z ^ z >> 31


def uniform(key: int, sample: int, position: int) -> float:
    """A number from 0 to 1 for the draw of a sample at a position: it depends on nothing else."""
    base = mix(mix(key) + position * GOLDEN & BITS)
    return (mix(sample * GOLDEN + base & BITS) >> 12) * 2.0**-52


@dataclass
class Sampling:
    """Temperature, then top-k, top-p (nucleus, Holtzman et al. 2020) and min-p; 0 is greedy."""

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None

    def filter(self, logits: Array) -> Array:
        """(V,) -> (V,), -inf for tokens left out."""
        out = np.float32(-np.inf)
        if self.temperature != 1:
            logits = (logits - logits.max()) / np.float32(self.temperature)
        if self.top_k is not None and self.top_k < len(logits):
            logits = np.where(logits < np.sort(logits)[-self.top_k], out, logits)
        if self.top_p is not None:
            order = np.argsort(-logits, kind="stable")
            p = softmax(logits[order])
            logits = logits.copy()
            logits[order[p.cumsum() - p >= self.top_p]] = out
        if self.min_p:
            logits = np.where(logits < logits.max() + np.float32(np.log(self.min_p)), out, logits)
        return logits

    def draw(self, logits: Array, u: float) -> int:
        """The quantile u of the distribution, (V,) -> a token."""
        if self.temperature == 0:
            return int(logits.argmax())
        cumulative = softmax(self.filter(logits)).cumsum(dtype=np.float64)
        token = int(np.searchsorted(cumulative, u * cumulative[-1], side="right"))
        return min(token, len(logits) - 1)
