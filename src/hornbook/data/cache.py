"""The cache on disk: fetched corpora, inspected texts and tokens, all of which can be made again.

    <cache>/shakespeare.txt     fetched corpora, by their file name
    <cache>/texts/*.json        what inspecting a text that is not held in memory has found
    <cache>/tokens/*/           the tokens of one text, split and tokenizer

It grows by 1 or 2 bytes a token (and 8 a document) for each text, split and tokenizer, some kB for a
tiny one, and nothing is removed from it. The whole folder may be deleted at any time.
"""

from __future__ import annotations

import os
import secrets
import shutil
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import platformdirs

from hornbook.errors import DataError, RunError

SAMPLES, SAMPLE_BYTES = 64, 4096  # of a file that are read again when it is opened
SAMPLED_WHOLE = SAMPLES * SAMPLE_BYTES
ABANDONED = 24 * 3600  # seconds after which a folder that was never finished is removed


class CacheError(DataError):
    """The cache cannot be written, or there is no place for it."""

    def __init__(self, path: Path, error: OSError | RunError) -> None:
        super().__init__(
            f"{path}: cannot be written ({getattr(error, 'strerror', None) or error}). Tokens are "
            "kept there, 1 to 2 bytes each; free some space, or set HORNBOOK_CACHE to another folder"
        )


def cache_directory() -> Path:
    """`HORNBOOK_CACHE`, else the user's cache directory (on Linux ~/.cache/hornbook).

    Raises CacheError where it is in the home directory of a user who has none, as in a container.
    """
    folder = os.environ.get("HORNBOOK_CACHE") or ""
    try:  # older versions of platformdirs leave a `~` that they cannot expand, newer ones raise
        path = Path(folder) if folder else platformdirs.user_cache_path("hornbook", appauthor=False)
        return path.expanduser()
    except RuntimeError:
        path = Path(folder or "~/.cache/hornbook")
        raise CacheError(path, RunError("there is no home directory")) from None


def fingerprint(path: Path) -> list[int]:
    """Size of a file and the CRC-32 of evenly spaced samples of it, which are all of it where it has
    at most SAMPLED_WHOLE bytes.

    It takes a millisecond, and shows a file that was cut off, never reached the disk, or was
    replaced; not each changed byte of a larger one.
    """
    size, crc = path.stat().st_size, 0
    with path.open("rb") as file:
        step = max(SAMPLE_BYTES, size // SAMPLES)
        for start in (*range(0, size, step), max(0, size - SAMPLE_BYTES)):
            file.seek(start)
            crc = zlib.crc32(file.read(SAMPLE_BYTES), crc)
    return [size, crc]


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A folder to write into that becomes `path` at the end, or is removed where anything fails.

    Several processes may write the same folder at once: the first to finish puts its own there, and
    the others drop theirs. Raises CacheError where it cannot be written.
    """
    partial = path.with_name(f"{path.name}.{os.getpid()}-{secrets.token_hex(4)}.partial")
    try:
        for other in path.parent.glob("*.partial"):
            with suppress(OSError):  # another process may remove it as well
                if time.time() - other.stat().st_mtime > ABANDONED:
                    shutil.rmtree(other, ignore_errors=True)
        partial.mkdir(parents=True)
        yield partial
        try:
            partial.replace(path)
        except OSError:
            if not path.is_dir():
                raise
    except (OSError, RunError) as error:
        raise CacheError(path, error) from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def remove_folder(path: Path) -> None:
    """Removes a folder of the cache so that no other process finds half of it.

    Raises CacheError where it cannot be removed.
    """
    aside = path.with_name(f"{path.name}.{os.getpid()}-{secrets.token_hex(4)}.partial")
    try:
        path.replace(aside)
    except FileNotFoundError:  # another process has removed it
        return
    except OSError as error:
        raise CacheError(path, error) from None
    shutil.rmtree(aside, ignore_errors=True)
