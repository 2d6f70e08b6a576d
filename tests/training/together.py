"""Runs that several processes train: what the tests of both ways to do so share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hornbook.config import merge
from hornbook.runs.directory import StoredRun
from tests.training.helpers import small, without_times


def settings(parallel: str, **training: Any) -> dict[str, Any]:
    """A GPT with dropout and averaged weights; ten rows, which four ranks do not share evenly. Sharded
    weights are trained by Muon."""
    found = small("gpt", batch_size=10, ema_decay=0.9, parallel=parallel, **training)
    more: dict[str, Any] = {"model": {"dropout": 0.2, "n_layer": 1}}
    if parallel == "fsdp":
        more["optim"] = {"name": "muon"}
    return dict(merge(found, more))


def records(path: Path) -> list[dict[str, Any]]:
    """The log of a run without what depends on the machine."""
    return without_times(StoredRun.load(path).log)


def figures(path: Path, name: str) -> list[float]:
    """One of the figures of the log, where there is one."""
    return [record[name] for record in records(path) if record.get(name)]
