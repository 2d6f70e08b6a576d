"""What is kept on disk and can be made again: fetched corpora, and the tokens of large texts."""

from __future__ import annotations

import os
import shutil
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hornbook.errors import DataError

STRETCHES, STRETCH = 64, 4096  # of a file that are looked at again when it is opened
ABANDONED = 24 * 3600  # seconds after which a folder that was never finished is removed


def cache_directory() -> Path:
    """Where it is kept: `HORNBOOK_CACHE`, else `hornbook` in the user's cache. May be deleted."""
    if own := os.environ.get("HORNBOOK_CACHE"):
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "hornbook"


def mark(path: Path) -> list[int]:
    """Size of a file and the CRC-32 of stretches spread over it: costs a millisecond, and shows a
    file that was cut off, never reached the disk, or was replaced; not each changed byte."""
    size, crc = path.stat().st_size, 0
    with path.open("rb") as file:
        for i in range(STRETCHES):
            file.seek(i * max(0, size - STRETCH) // (STRETCHES - 1))
            crc = zlib.crc32(file.read(STRETCH), crc)
    return [size, crc]


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A folder to write into that becomes `path` at the end, or is removed where anything fails.

    Raises DataError where it cannot be written.
    """
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        for other in path.parent.glob("*.partial"):
            if time.time() - other.stat().st_mtime > ABANDONED:
                shutil.rmtree(other, ignore_errors=True)
        partial.mkdir(parents=True)
        yield partial
        if path.exists():
            shutil.rmtree(path)
        partial.replace(path)
    except OSError as error:
        raise unwritable(path, error) from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def unwritable(path: Path, error: OSError) -> DataError:
    """What is told where the cache cannot be written."""
    return DataError(
        f"{path}: cannot be written ({error.strerror}). The tokens of a large text are kept there, "
        "1 to 2 bytes each; make room, or set HORNBOOK_CACHE to a folder that has it"
    )
