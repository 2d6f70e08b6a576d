"""What is kept on disk and can be made again: fetched corpora, and the tokens of large texts.

Where it lies, how it gets there whole, and the thread that works beside the one that reads.
"""

from __future__ import annotations

import os
import shutil
import time
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from hornbook.errors import DataError

STRETCHES, STRETCH = 64, 4096  # of a file that are looked at again when it is opened
BEHIND = 4  # calls that may wait at a time
ABANDONED = 24 * 3600  # seconds after which a folder that was never finished is removed


def cache_directory() -> Path:
    """Where it is kept: `HORNBOOK_CACHE`, else `hornbook` in the user's cache. May be deleted."""
    if own := os.environ.get("HORNBOOK_CACHE"):
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
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


class Behind:
    """Calls made in order in a thread of their own, at most BEHIND of them waiting.

    What a call raises is raised by a later one, or at the end.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1)
        self._waiting: deque[Future[Any]] = deque()

    def __call__(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Calls a function later."""
        self._waiting.append(self._pool.submit(function, *arguments))
        if len(self._waiting) > BEHIND:
            self._waiting.popleft().result()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=kind is not None)
        if kind is None:
            for waiting in self._waiting:
                waiting.result()
