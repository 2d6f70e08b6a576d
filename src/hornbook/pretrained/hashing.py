"""The sha256 of files of weights, by which a base is known."""

from __future__ import annotations

import hashlib
from pathlib import Path

from hornbook.errors import RunError

CHUNK = 1 << 20  # bytes that are hashed at a time


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
