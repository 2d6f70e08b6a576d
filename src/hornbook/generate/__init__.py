"""Sampling from any model: filters of logits, and decoding with stops."""

from __future__ import annotations

from hornbook.generate.decode import Sample, sample, stream
from hornbook.generate.sampling import Sampling

__all__ = ["Sample", "Sampling", "sample", "stream"]
