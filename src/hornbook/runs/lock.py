"""One process trains in a run directory: the second is refused, and told who the first is.

The lock is the system's (`flock`), so it ends with its process, however that ends; the file `lock`
says who holds it. What a killed process left in it is recognised by the lock being free. It also
knows the directory by its inode, and so finds it again where it was renamed meanwhile.
"""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from hornbook.errors import RunError
from hornbook.files import dump, not_written, read_json
from hornbook.machine import boot, host

try:
    import fcntl
except ImportError:  # Windows: runs are not locked there
    fcntl = None  # type: ignore[assignment]

NAME = "lock"


class Lock:
    """Holds a run directory while it is trained: `with Lock(path) as lock`.

    stale: what a process that was killed had left behind, in words; else empty.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.stale = ""
        self._file = self._folder = -1

    def __enter__(self) -> Self:
        """Raises RunError that names the process that holds it, or where it cannot be locked."""
        if fcntl is None:
            return self
        place = self.path / NAME
        try:
            while True:
                self._file = os.open(place, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
                if not self._taken():
                    break
                os.close(self._file)  # the one before removed it in between
            self._folder = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
            if os.fstat(self._file).st_size:
                self.stale = f"{_holder(place)} was killed while it trained this run"
            facts = {"pid": os.getpid(), "host": host(), "boot": boot(), "since": _now()}
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, dump(facts).encode(), 0)
        except OSError as error:
            self._close()
            raise not_written(place, error) from None
        return self

    def _taken(self) -> bool:
        """Takes the lock of the open file; True where that is no longer the file at its path."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            who = _holder(self.path / NAME)
            self._close()
            raise RunError(
                f"{self.path}: {who} is training it; wait until it has ended, or stop it (kill PID)"
            ) from None
        try:
            return not os.path.samestat(os.fstat(self._file), os.lstat(self.path / NAME))
        except FileNotFoundError:
            return True

    def follow(self) -> bool:
        """Whether the directory was renamed or moved; then `path` is where it is now.

        Raises RunError where it was removed, or another stands in its place and it cannot be found.
        """
        if self._folder < 0:
            return False
        with suppress(OSError):
            if os.path.samestat(os.stat(self.path), os.fstat(self._folder)):
                return False
        found = _path_of(self._folder)
        if found is None:
            raise RunError(
                f"{self.path}: was removed or moved to another disk while it was trained; put it "
                f"back and go on (hornbook train --resume {self.path})"
            )
        self.path = found
        return True

    def followed(self) -> Path:
        """Where the directory is now. Raises RunError as `follow` does."""
        self.follow()
        return self.path

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file >= 0:
            with suppress(OSError, RunError):
                self.follow()
                (self.path / NAME).unlink()
        self._close()

    def _close(self) -> None:
        for descriptor in (self._file, self._folder):
            if descriptor >= 0:
                os.close(descriptor)
        self._file = self._folder = -1


def _holder(place: Path) -> str:
    """Who wrote a lock, in words."""
    with suppress(RunError):
        facts = read_json(place)
        elsewhere = "" if facts.get("boot") == boot() else ", before this machine was started"
        if facts.get("host") != host():
            elsewhere = ""
        return (
            f"process {facts.get('pid')} on {facts.get('host')} (since {facts.get('since')}"
            f"{elsewhere})"
        )
    return "another process"


def _path_of(folder: int) -> Path | None:
    """Where an open directory is now; None where it is gone or the system does not say."""
    with suppress(OSError):
        if hasattr(fcntl, "F_GETPATH"):  # macOS
            raw = fcntl.fcntl(folder, fcntl.F_GETPATH, b"\0" * 1024)
            path = Path(os.fsdecode(raw.rstrip(b"\0")))
        else:
            path = Path(os.readlink(f"/proc/self/fd/{folder}"))
        if os.path.samestat(os.stat(path), os.fstat(folder)):
            return path
    return None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
