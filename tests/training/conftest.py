"""A small corpus, and a run that died half-way."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import hornbook
from tests.training.helpers import SETTINGS, At, die


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("corpus") / "words.txt"
    parts = ["ba", "ko", "mi", "tu", "re", "la"]
    path.write_text("\n".join(a + b + c for a in parts for b in parts for c in parts))
    return path


@pytest.fixture(scope="module")
def half(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that died in its eleventh step, with states of 4 and 8 steps."""
    out = tmp_path_factory.mktemp("half") / "run"
    with pytest.raises(KeyboardInterrupt):
        hornbook.train(str(corpus), out=out, settings=SETTINGS, callbacks=[At(10, die)])
    return out


@pytest.fixture
def copy(half: Path, tmp_path: Path) -> Path:
    return shutil.copytree(half, tmp_path / "run")
