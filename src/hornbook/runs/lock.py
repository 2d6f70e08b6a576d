"""One process trains in a run directory; a second is refused with the name of the first.

The lock itself is `filelock`'s on the file `lock`, which the system releases when its process ends,
however it ends. Three guarantees that filelock does not give are added here:

- `lock.json` names the holder. What a killed process left there is recognized: the lock is free.
- The directory is known by its inode, so a run that is renamed while it is trained is found again.
  (Windows refuses to rename a directory with an open file in it.)
- `lock` is removed on release. filelock locks no file that was unlinked before it was locked
  (`flock`), and Windows unlinks no file that is open, so no two processes hold different files.
"""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from filelock import FileLock, Timeout

from hornbook.errors import RunError
from hornbook.files import not_written, read_json, write_json
from hornbook.machine import alive, boot, host
from hornbook.runs.commands import resume_command

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

NAME, HOLDER = "lock", "lock.json"


class Lock:
    """Holds a run directory while it is trained: `with Lock(path) as lock`.

    Attributes:
        path: where the directory is now, see `follow`.
        stale: in words, the killed process that held the lock before; else empty.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.stale = ""
        self._lock: FileLock | None = None
        self._folder = -1  # descriptor of the directory

    def __enter__(self) -> Self:
        """Raises RunError that names the process that holds it, or where it cannot be locked."""
        file = self.path / NAME
        lock = FileLock(file, thread_local=False)
        try:
            os.listdir(self.path)  # filelock would make a directory that is missing
            lock.acquire(blocking=False)
        except Timeout:
            raise RunError(
                f"{self.path}: {_holder(self.path)} is training it; wait until it has ended, or "
                "stop it (kill PID)"
            ) from None
        except OSError as error:
            raise not_written(file, error) from None
        self._lock = lock
        try:
            if fcntl is not None:
                self._folder = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
            if os.path.lexists(self.path / HOLDER):
                self.stale = f"{_holder(self.path)} was killed while it trained this run"
            since = datetime.now(UTC).isoformat(timespec="seconds")
            holder = {"pid": os.getpid(), "host": host(), "boot": boot(), "since": since}
            write_json(self.path / HOLDER, holder)
        except (OSError, RunError) as error:
            self._close()
            if isinstance(error, RunError):
                raise
            raise not_written(file, error) from None
        return self

    def follow(self) -> bool:
        """Whether the directory was renamed or moved; then `path` is where it is now.

        Raises RunError where it was removed, or replaced by another and cannot be found.
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
                f"back and resume it ({resume_command(self.path)})"
            )
        self.path = found
        return True

    def followed(self) -> Path:
        """Where the directory is now. Raises RunError as `follow` does."""
        self.follow()
        return self.path

    def __exit__(self, *exception: object) -> None:
        with suppress(OSError, RunError):
            self.follow()
            (self.path / HOLDER).unlink(missing_ok=True)
            if fcntl is not None:
                (self.path / NAME).unlink(missing_ok=True)
        self._close()
        if fcntl is None:
            with suppress(OSError):
                (self.path / NAME).unlink(missing_ok=True)

    def _close(self) -> None:
        if self._lock is not None:
            self._lock.release()
        if self._folder >= 0:
            os.close(self._folder)
        self._lock, self._folder = None, -1


def is_held(run: Path) -> bool:
    """Whether a process trains this run, as far as its files say: one on another machine may."""
    with suppress(RunError):
        facts = read_json(run / HOLDER)
        if facts.get("host") != host():
            return True
        return facts.get("boot") == boot() and alive(str(facts.get("pid")))
    return False


def _holder(run: Path) -> str:
    """Who holds the lock of a run, in words."""
    with suppress(RunError):
        facts = read_json(run / HOLDER)
        since = f"since {facts.get('since')}"
        if facts.get("host") == host() and facts.get("boot") != boot():
            since += ", before this machine was started"
        return f"process {facts.get('pid')} on {facts.get('host')} ({since})"
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
