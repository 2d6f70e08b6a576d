"""Measured runs made of numbers, without a model."""

from __future__ import annotations

from typing import Any

import numpy as np

from hornbook.metrics.results import MeasuredRun, RunResult


def made(
    name: str,
    nats: Any,
    seed: int | None = 1,
    path: str = "",
    settings: dict[str, Any] | None = None,
    **fields: Any,
) -> MeasuredRun:
    """A run with these losses of documents of one token (and one byte) each."""
    nats = np.asarray(nats, dtype=np.float64)
    mean, ones = float(nats.mean()), np.ones(len(nats))
    error = float(nats.std(ddof=1) / len(nats) ** 0.5)
    result = RunResult(
        name=name, model="gpt", path=path or f"runs/{name}", tokenizer="char", held_out=True,
        fitted=seed is None, parameters=1000, seconds=1.0, tokens=5000, validation=mean,
        validation_error=error, unseen=None, test=None, test_error=None,
        bits_per_byte=mean / np.log(2), unseen_bits=None, test_bits=None, new=0.9, samples=("ab",),
        seed=seed, **fields,
    )  # fmt: skip
    new = np.ones(len(nats), dtype=np.bool_)
    return MeasuredRun(result, "f", nats, ones, ones, new, settings or {"model.name": name})
