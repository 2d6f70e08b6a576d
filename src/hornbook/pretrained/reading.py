"""Reads what training may begin from, whatever it is."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from hornbook.errors import ConfigError, RunError
from hornbook.files import user_path
from hornbook.models.registry import MODELS
from hornbook.pretrained.base import Base
from hornbook.runs.directory import StoredRun

CHUNK = 1 << 20  # bytes that are hashed at a time


def read_base(source: str | Path) -> Base:
    """The base in a directory or file. Raises ConfigError or RunError where there is none, or it is
    nothing that training can begin from."""
    path = user_path(source, ConfigError)
    if not os.path.exists(path):
        raise ConfigError(f"{source}: found nothing, expected a run to start from")
    return _of_run(str(source), StoredRun.load(path))


def _of_run(source: str, run: StoredRun) -> Base:
    name = run.config.model.name
    if run.model.fitted or not MODELS[name].trained:
        what = "is counted" if run.model.fitted else "is made of runs"
        raise ConfigError(
            f"{source}: found a run of {name}, which {what}; expected a model that is trained in steps"
        )
    return Base(
        source=source,
        path=run.path,
        model=run.config.model,
        tokenizer=run.tokenizer,
        tensors=run.model.state_dict(),
        sha256=sha256_of(run.path / "model.safetensors"),
        run=run,
    )


def sha256_of(path: Path) -> str:
    """The sha256 of a file. Raises RunError where it cannot be read."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
    except OSError as error:
        raise RunError(f"{path}: cannot be read ({error.strerror or error})") from None
    return digest.hexdigest()
