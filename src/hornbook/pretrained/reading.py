"""Reads what training may begin from, whatever it is."""

from __future__ import annotations

import os
from pathlib import Path

from hornbook.data.sources.hub import HUB, name_on_hub
from hornbook.errors import ConfigError, RunError
from hornbook.files import read_json, user_path
from hornbook.models.registry import MODELS
from hornbook.pretrained.base import Base
from hornbook.pretrained.gguf import MAGIC, read_gguf
from hornbook.pretrained.hashing import sha256_of
from hornbook.pretrained.huggingface import read_huggingface
from hornbook.runs.directory import StoredRun

EXPECTED = "a run, a directory of Hugging Face's transformers, or a GGUF file"


def read_base(source: str | Path) -> Base:
    """The base in a directory or file. Raises ConfigError or RunError where there is none, or it is
    nothing that training can begin from."""
    path = user_path(source, ConfigError)
    if not os.path.exists(path):
        name = name_on_hub(str(source).removeprefix(HUB))
        how = ""
        if name:
            how = f"; to fetch it from Hugging Face: hf download {name}, which prints its directory"
        raise ConfigError(f"{source}: found nothing, expected {EXPECTED}{how}")
    if path.is_dir():
        if is_huggingface(path):
            return read_huggingface(str(source), path)
        files = sorted(p.name for p in path.glob("*.gguf"))
        if files and not os.path.exists(path / "config.json"):
            raise ConfigError(f"{source}: found {files[0]} in it; give the file: {path / files[0]}")
        if os.path.exists(path / "adapter_config.json") and not os.path.exists(
            path / "config.json"
        ):
            raise ConfigError(
                f"{source}: found an adapter alone, expected a whole model; the directory of the run "
                "that wrote it has merged weights"
            )
        return _of_run(str(source), StoredRun.load(path))
    if not path.is_file():  # such as a pipe, which would be waited for
        raise ConfigError(f"{source}: is not a regular file, expected {EXPECTED}")
    if _begins_with(path, MAGIC):
        return read_gguf(str(source), path)
    hint = f"; give its directory, {path.parent}" if path.suffix == ".safetensors" else ""
    raise ConfigError(f"{source}: found another file, expected {EXPECTED}{hint}")


def is_huggingface(folder: Path) -> bool:
    """Whether a directory has the config.json of Hugging Face's transformers."""
    file = folder / "config.json"
    if not os.path.exists(file):
        return False
    config = read_json(file, foreign=True)
    return "hornbook" not in config and ("architectures" in config or "model_type" in config)


def _begins_with(path: Path, magic: bytes) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(magic)) == magic
    except OSError as error:
        raise RunError(f"{path}: cannot be read ({error.strerror or error})") from None


def _of_run(source: str, run: StoredRun) -> Base:
    name = run.config.model.name
    if run.model.fitted or not MODELS[name].trained:
        what = "is counted" if run.model.fitted else "is made of runs"
        raise ConfigError(
            f"{source}: found a run of {name}, which {what}; expected a model that is trained in steps"
        )
    form = None if run.template is None else run.template.form
    return Base(
        template="" if form is None else form.message,
        source=source,
        path=run.path,
        model=run.config.model,
        tokenizer=run.tokenizer,
        tensors=run.model.state_dict(),
        sha256=sha256_of(run.path / "model.safetensors"),
        run=run,
    )
