"""Texts and settings of the tests of planning; nothing in them is measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from hornbook.config import DataConfig, Nested, TokenizerConfig, merge
from hornbook.data.training_data import TrainingData, load_training_data
from hornbook.planning.plan import Plan
from hornbook.planning.request import Request, read_request
from hornbook.planning.resolution import Resolution
from hornbook.planning.resolve import resolve

CPU = torch.device("cpu")
PINNED: Nested = {"training": {"precision": "fp32", "threads": 1, "compile": "no"}}
TINY_GPT: Nested = {
    "model": {
        "name": "gpt", "context_length": 16, "n_layer": 1, "n_head": 2, "n_kv_head": 2,
        "n_embd": 8, "n_hidden": 8, "dropout": 0.0,
    },
    "training": {"steps": 9, "batch_size": 4},
}  # fmt: skip
TINY_MLP: Nested = {
    "model": {
        "name": "mlp", "context_length": 3, "n_embd": 4, "n_hidden": 6, "norm": "batchnorm",
        "dropout": 0.0,
    },
    "training": {"steps": 9, "batch_size": 4, "examples": "windows"},
}  # fmt: skip


def plan_of(corpus: str | Path, settings: Nested | None = None, **arguments: Any) -> Plan:
    """The plan of a request in which nothing is left to be measured."""
    merged = merge(PINNED, settings or {})
    return resolve(read_request(str(corpus), settings=merged, **arguments))


def data_of(corpus: str | Path, **data: Any) -> TrainingData:
    """A corpus, split and tokenized."""
    return load_training_data(
        DataConfig.parse({"corpus": str(corpus), **data}, "data"), TokenizerConfig()
    )


def resolution_of(
    corpus: str | Path, preset: Nested, requested: Nested | None = None,
    *, named: str | None = None, reserve: float = 1.0,
) -> Resolution:  # fmt: skip
    """The settings of a preset on a text, as far as they are known without measuring."""
    data = data_of(corpus)
    settings = merge(PINNED, requested or {})
    return Resolution(preset, Request(preset=named, settings=settings, reserve=reserve), data)


def stream(folder: Path, characters: int) -> Path:
    """A stream of so many characters."""
    path = folder / "stream.txt"
    path.write_text(("to be or not to be,\n\nthat is the question. " * 200)[:characters])
    return path


def large_alphabet(folder: Path) -> Path:
    """A stream of 2,500 different characters, three times."""
    path = folder / "han.txt"
    path.write_text("".join(chr(0x4E00 + i) for i in range(2500)) * 3, "utf-8")
    return path
