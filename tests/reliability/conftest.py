"""A run that died half-way, and callbacks that do something at an update."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import hornbook
from hornbook.api import Run
from hornbook.training.callbacks import Callback

SETTINGS: dict[str, Any] = {
    "model": {"n_layer": 1, "n_head": 2, "n_kv_head": 2, "n_embd": 8, "n_hidden": 8},
    "training": {"steps": 12, "batch_size": 8, "eval_count": 3, "sample_count": 0},
}


class At(Callback):
    """Does something right before an update."""

    def __init__(self, step: int, do: Callable[[Any], object]) -> None:
        self.step, self.do = step, do

    def planned(self, plan: Any) -> None:
        self.plan = plan

    def updating(self, step: int) -> None:
        if step == self.step:
            self.do(self.plan)


class Listen(Callback):
    """Keeps what was told."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def planned(self, plan: Any) -> None:
        self.heard += [how for _, how in plan.lines()]

    def told(self, message: str) -> None:
        self.heard.append(message)


def overflow(plan: Any) -> None:
    """Weights that are numbers, and give a loss that is none."""
    for parameter in plan.model.parameters():
        parameter.data.fill_(1e30)


def stop(_: object) -> None:
    os.kill(os.getpid(), signal.SIGINT)


def interrupt(_: object) -> None:
    raise KeyboardInterrupt


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("corpus") / "words.txt"
    parts = ["ba", "ko", "mi", "tu", "re", "la"]
    path.write_text("\n".join(a + b + c for a in parts for b in parts for c in parts))
    return path


@pytest.fixture(scope="module")
def half(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that died in update 10, with states of updates 4 and 8."""
    out = tmp_path_factory.mktemp("half") / "run"
    with pytest.raises(KeyboardInterrupt):
        hornbook.train(str(corpus), out=out, settings=SETTINGS, callbacks=[At(10, interrupt)])
    return out


@pytest.fixture
def copy(half: Path, tmp_path: Path) -> Path:
    return shutil.copytree(half, tmp_path / "run")


def read(path: Path) -> None:
    run = Run.load(path)
    _ = run.log, run.report, run.model


def states(path: Path) -> list[Path]:
    return sorted((path / "last").glob("state-*.safetensors"))
