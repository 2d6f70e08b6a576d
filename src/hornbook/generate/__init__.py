"""Sampling from any model: filters of logits, and decoding with stop strings."""

from __future__ import annotations

from hornbook.generate.decoder import Sample, sample, stream
from hornbook.generate.sampling import Draws, Sampling, make_generator

__all__ = ["Draws", "Sample", "Sampling", "make_generator", "sample", "stream"]
