"""Sampling from any model: filters of logits, and decoding with stops."""

from __future__ import annotations

from hornbook.generate.decode import Sample, sample, stream
from hornbook.generate.sampling import Sampling, make_generator

__all__ = ["Sample", "Sampling", "make_generator", "sample", "stream"]
