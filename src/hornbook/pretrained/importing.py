"""A run made of a model that others trained, without training it."""

from __future__ import annotations

import os
import platform
import re
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hornbook.data.reading import READING
from hornbook.errors import ConfigError
from hornbook.files import user_path, write_json, write_tensors
from hornbook.models.registry import build_on_meta, parse_run_config
from hornbook.pretrained.base import Base
from hornbook.pretrained.reading import read_base
from hornbook.runs.directory import StoredRun, check_free, create, free_path
from hornbook.stages import stage
from hornbook.tokenizers.base import NULL
from hornbook.version import __version__


@dataclass(frozen=True)
class Imported:
    """A new run, and what is not as where it comes from, one sentence each."""

    run: StoredRun
    notes: tuple[str, ...]


def import_base(source: str | Path, out: Path | None = None) -> Imported:
    """Makes a run of a directory of Hugging Face's transformers, or of a GGUF file.

    out: the run directory to make; `runs/<name>` if left out. Raises ConfigError for a run or a place
    that is taken, RunError for a model that hornbook cannot represent.
    """
    if out is not None:
        check_free(user_path(out, ConfigError))
    base = read_base(source)
    if base.run is not None:
        raise ConfigError(f"{source}: is a run already; it needs no import")
    path = free_path(_name(base.path))[0] if out is None else user_path(out, ConfigError)
    config = parse_run_config(
        {
            "data": {"corpus": "", "kind": _kind(base)},
            "model": base.model.model_dump(),
            "tokenizer": {"kind": base.tokenizer.kind},
        }
    )
    run = create(path, _facts(base), config, base.tokenizer)
    try:
        with stage(f"writing {path}"):
            write_tensors(path / "model.safetensors", base.tensors)
            write_json(path / "report.json", _report())
    except BaseException:  # leave no incomplete run
        shutil.rmtree(path)
        raise
    return Imported(run, base.notes)


def _name(path: Path) -> str:
    """A name for the run: that of the directory, or of the file without its ending."""
    name = path.stem if path.is_file() else path.resolve().name
    return re.sub(r"[^\w.-]+", "-", name).strip("-.") or "imported"


def _kind(base: Base) -> str:
    return "stream" if base.tokenizer.end_id is None else "documents"


def _facts(base: Base) -> dict[str, Any]:
    """What config.json says besides the settings. The text is unknown."""
    whole = base.tokenizer.document_end == NULL
    model = build_on_meta(base.model, base.tokenizer.vocab_size, base.tokenizer.end_id)
    return {
        "hornbook": __version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "imported": {
            "source": base.source,
            "form": base.form,
            "sha256": base.sha256,
            "template": base.template,
        },
        "corpus": {
            "name": "",
            "source": "unknown",
            "kind": _kind(base),
            "why": "as the tokenizer has it",
            "sha256": "",
            "bytes": 0,
            "reading": READING,
            "read": {"separator": "file"} if whole else {},  # of a text that is scored
        },
        "split": {"train": 0, "validation": 0, "unit": "tokens"},
        "vocab_size": base.tokenizer.vocab_size,
        "n_parameters": model.n_parameters,
        "hardware": {
            "device": "unknown",
            "precision": "fp32",
            "machine": platform.machine(),
            "system": platform.system(),
            "cores": os.cpu_count(),
            "threads": None,
        },
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
        },
    }


def _report() -> dict[str, Any]:
    """report.json of a run that was not trained here: nothing is measured."""
    return {
        "steps": 0,
        "best_step": 0,
        "tokens": 0,
        "seconds": 0.0,
        "loss": None,
        "validation": {"nats": None, "standard_error": None, "bits_per_byte": None},
        "samples": [],
    }
