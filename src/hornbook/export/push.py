"""A run onto a hub that speaks Hugging Face's HTTP API, as the directory of target `hf`.

Through the package huggingface_hub (`pip install 'hornbook[hub]'`), which also keeps the token of the
user (`hf auth login`, or HF_TOKEN) and knows the address of the hub (HF_ENDPOINT).
"""

from __future__ import annotations

import importlib
import os
import re
import tempfile
from pathlib import Path
from typing import Any

from hornbook.errors import ConfigError, RunError
from hornbook.export.targets import export
from hornbook.runs.directory import StoredRun
from hornbook.stages import stage

NAME = re.compile(r"[\w.-]{1,48}/[\w.-]{1,96}", re.ASCII)


def push(
    run: StoredRun,
    repository: str,
    *,
    dtype: str | None = None,
    private: bool = False,
    verify: bool = True,
) -> str:
    """Exports a run and uploads it; returns the address of the repository.

    repository: "user/name", made if it is not there. Raises ConfigError for another name, or without
    the package; RunError where an export is not equal, or the hub refuses it.
    """
    if not NAME.fullmatch(repository):
        raise ConfigError(
            f"repository: found {repository!r}, expected user/name (letters, digits, -, _ and .)"
        )
    hub = _package()
    with tempfile.TemporaryDirectory() as folder:
        where = Path(folder) / repository.split("/")[1]
        made = export(run, "hf", where, dtype=dtype, verify=verify)
        if wrong := [check for check in made.checks if not check.equal]:
            raise RunError(f"not pushed, since the export is not equal: {wrong[0]}")
        with stage(f"uploading to {repository}"):
            return _upload(hub, where, repository, private=private)


def _package() -> Any:
    try:
        return importlib.import_module("huggingface_hub")
    except ImportError:
        raise ConfigError(
            "push needs the package huggingface-hub; install it with pip install 'hornbook[hub]'"
        ) from None


def _upload(hub: Any, folder: Path, repository: str, *, private: bool) -> str:
    importlib.import_module("huggingface_hub.utils").disable_progress_bars()
    api = hub.HfApi(endpoint=os.environ.get("HF_ENDPOINT"), library_name="hornbook")
    if api.token is None and hub.get_token() is None:
        raise RunError(
            "push: found no token, expected one that may write; run hf auth login, or set HF_TOKEN"
        )
    try:
        address = api.create_repo(repository, private=private or None, exist_ok=True)
        api.upload_folder(
            repo_id=repository, folder_path=folder, commit_message="Upload by hornbook push"
        )
    except (
        Exception
    ) as error:  # of HTTP, of the network, of the hub's rules: all are the hub's answer
        raise RunError(f"push: {api.endpoint} refused {repository}: {_first_line(error)}") from None
    return str(address)


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
