"""Faults met before the first step: nothing is left behind. `benchmarks/reliability.py` does those of
training from outside; tests/training does them one by one in the process itself."""

from __future__ import annotations

from pathlib import Path

import pytest

import hornbook
from hornbook.errors import ConfigError
from tests.training.helpers import PINNED, SETTINGS


def test_memory_is_estimated_before_anything_is_written(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hornbook.planning.decide.memory.available_memory", lambda: 5_000_000)
    deep = {"model": {"n_layer": 4}, "training": {"batch_size": 60, "steps": 5, **PINNED}}
    with pytest.raises(ConfigError, match=r"memory: training needs at least .*found 5.0 MB avail"):
        hornbook.train(str(corpus), out=tmp_path / "r", settings={**SETTINGS, **deep})
    wide = {"model": {"n_embd": 4096, "n_head": 64}}
    with pytest.raises(ConfigError, match=r"weights, gradients and the optimizer need .* found 5"):
        hornbook.train(str(corpus), out=tmp_path / "r", settings={**wide, "training": PINNED})
    assert not list(tmp_path.iterdir())
