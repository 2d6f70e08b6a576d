"""A text that is piped in: kept in the cache as a file, since it is read more than once."""

from __future__ import annotations

import hashlib
import secrets
import sys
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from hornbook.data.cache import CacheError, cache_directory
from hornbook.data.tuning import CHUNK_BYTES
from hornbook.errors import DataError
from hornbook.stages import stage

STDIN = "-"  # the corpus that is piped in
KEPT = "stdin"  # the folder of the cache
COMPRESSED = {
    b"\x1f\x8b": "gzip -dc", b"\x28\xb5\x2f\xfd": "zstd -dc", b"PK\x03\x04": "unzip -p"
}  # fmt: skip


def keep_stdin() -> Path:
    """The file that has what is piped in; it is read to its end by the first call.

    Raises DataError where nothing is piped in, CacheError where it cannot be kept.
    """
    if sys.stdin is None or sys.stdin.isatty():
        raise DataError(
            f"{STDIN}: found a terminal, expected a text that is piped in: hornbook train - < FILE"
        )
    with stage("reading stdin"):
        return _keep(getattr(sys.stdin, "buffer", sys.stdin))


@lru_cache(maxsize=1)
def _keep(stream: BinaryIO) -> Path:
    folder = cache_directory() / KEPT
    partial = folder / f"{secrets.token_hex(8)}.partial"
    digest = hashlib.sha256()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            while chunk := stream.read(CHUNK_BYTES):
                if not file.tell() and (program := unpacked_by(chunk)):
                    raise DataError(
                        f"{STDIN}: found compressed data, expected text; unpack it first: "
                        f"{program} FILE | hornbook data -"
                    )
                digest.update(chunk)
                file.write(chunk)
        path = folder / f"{digest.hexdigest()[:32]}.txt"
        partial.replace(path)
    except OSError as error:
        raise CacheError(folder, error) from None
    finally:
        with suppress(OSError):
            partial.unlink()
    return path


def unpacked_by(beginning: bytes) -> str:
    """The program that unpacks what begins like this; empty for what is not compressed."""
    return next((p for magic, p in COMPRESSED.items() if beginning.startswith(magic)), "")


def is_kept(path: Path) -> bool:
    """Whether a file is what was piped in, which is nowhere else."""
    with suppress(CacheError, OSError):
        return path.parent.resolve() == (cache_directory() / KEPT).resolve()
    return False
