"""Datasets of Hugging Face by name (huggingface_hub, the extra `hub`)."""

from __future__ import annotations

import os
import re
from pathlib import Path

from hornbook.config import DataConfig
from hornbook.errors import DataError
from hornbook.stages import stage

HUB = "hf:"  # hf:owner/name
OTHER_SPELLINGS = re.compile(
    r"(?:(?:hf:)?//|(?:https?:/+)?(?:www\.)?(?:huggingface\.co|hf\.co)/)?(?:datasets/)?"
    r"([A-Za-z0-9][\w-]*/[\w-]+(?:\.\d[\w-]*)*)/?"  # a dot before a letter is the ending of a file
)
FILES = ("*.parquet", "*.jsonl", "*.jsonl.gz", "*.jsonl.zst", "*.csv", "*.json", "*.txt")
PREFERRED = ("parquet", "jsonl", "csv", "json", "txt")  # of these formats the first that is there


def name_on_hub(text: str) -> str:
    """OWNER/NAME, where a text is that, or an address that others have for it; else empty, also where
    there is a folder of the first name."""
    found = OTHER_SPELLINGS.fullmatch(text)
    return "" if found is None or os.path.isdir(found[1].partition("/")[0]) else found[1]


def fetch_dataset(config: DataConfig) -> tuple[Path, DataConfig]:
    """The folder that holds a dataset, fetched where it is not in the cache of Hugging Face, and
    settings that read its training part.

    Raises DataError where huggingface_hub is missing, or there is no such dataset or no network.
    """
    name = config.corpus.removeprefix(HUB)
    if name.startswith("//"):
        meant = name_on_hub(name)
        raise DataError(
            f"{config.corpus}: found an address, expected {HUB}OWNER/NAME"
            + (f": {HUB}{meant}" if meant else "")
        )
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import (
            HfHubHTTPError,
            HFValidationError,
            LocalEntryNotFoundError,
        )
    except ImportError:
        raise DataError(
            f"{config.corpus}: reading datasets of Hugging Face takes huggingface_hub, which is not "
            "installed: pip install 'hornbook[hub]'"
        ) from None
    try:
        with stage(f"fetching {config.corpus}"):
            folder = Path(snapshot_download(name, repo_type="dataset", allow_patterns=list(FILES)))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).strip().split("\n")[0]
        raise DataError(
            f"{config.corpus}: could not be fetched from huggingface.co ({reason}). Check the name, "
            "hf:OWNER/NAME, and the network; or fetch a file of it elsewhere and train on that"
        ) from None
    return folder, config if config.glob else config.model_copy(
        update={"glob": _part(folder, name)}
    )


def _part(folder: Path, name: str) -> str:
    """Which files of a dataset to read: its training part, in one format."""
    names = [p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()]
    for ending in PREFERRED:
        found = [n for n in names if f".{ending}" in n.rpartition("/")[2]]
        if found:
            train = any("train" in n for n in found)
            return f"*train*.{ending}*" if train else f"*.{ending}*"
    raise DataError(
        f"{HUB}{name}: found no file of text, JSON, CSV or Parquet in this dataset; fetch a file of it "
        "and train on that"
    )
