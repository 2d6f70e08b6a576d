"""A text that is no longer where it was: found again by its fingerprint, whatever its name is now."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from contextlib import suppress
from itertools import islice
from pathlib import Path

from hornbook.data.cache import cache_directory
from hornbook.data.tuning import CHUNK_BYTES

MOST_FILES = 10_000  # searched in a folder


def find_text(sha256: str, n_bytes: int, folders: Iterable[Path]) -> Path | None:
    """The first plain file in these folders that has this fingerprint; None where there is none.

    Only files of its size are read. Folders in them are not looked into.
    """
    for folder in dict.fromkeys(folders):
        with suppress(OSError, ValueError), os.scandir(folder) as entries:
            for entry in islice(entries, MOST_FILES):
                with suppress(OSError):
                    found = entry.is_file() and entry.stat().st_size == n_bytes
                    if found and fingerprint_of(Path(entry.path)) == sha256:
                        return Path(entry.path).absolute()
    return None


def fingerprint_of(path: Path) -> str:
    """The sha256 of a file. Raises OSError."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def folders_of_texts() -> list[Path]:
    """Folders in which a text may be, wherever a run is: the working directory, those of fetched
    corpora."""
    data = os.environ.get("HORNBOOK_DATA")
    return [Path(), *([Path(data)] if data else []), cache_directory()]
