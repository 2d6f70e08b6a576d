"""This machine: its name, boot and available memory. Standard library only."""

from __future__ import annotations

import ctypes
import os
import socket
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

MEMINFO = Path("/proc/meminfo")
CGROUPS = (  # memory limit and usage of a container, cgroup versions 2 and 1
    (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")),
    (
        Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
        Path("/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ),
)
# parameters of glibc's mallopt (malloc.h), and the values to restore: its default of M_MMAP_MAX, and
# the largest that its dynamic thresholds reach by themselves
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX = -1, -3, -4
TRIM_THRESHOLD, MMAP_THRESHOLD, MMAP_MAX = 64 << 20, 32 << 20, 65_536


def spin_briefly() -> None:
    """Has OpenMP's threads wait briefly for work, then sleep, where PyTorch is not loaded yet and the
    environment says nothing of it.

    On a busy machine long spinning costs up to a hundred times as much, on an idle one sleeping at once
    costs a quarter (docs/logbook.md).
    """
    if "torch" not in sys.modules and "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "10000")


def available_memory(
    meminfo: Path = MEMINFO, cgroups: Iterable[tuple[Path, Path]] = CGROUPS
) -> int | None:
    """Bytes that can be allocated without swapping, within a container's limit; None if unknown.

    meminfo: the kernel's file. cgroups: pairs of files, a container's limit and what it uses.
    """
    found: list[int] = []
    with suppress(OSError, ValueError, IndexError, StopIteration):
        lines = meminfo.read_text().splitlines()
        found.append(1024 * int(next(x for x in lines if x.startswith("MemAvailable")).split()[1]))
    for limit, used in cgroups:
        with suppress(OSError, ValueError):  # "max" is not a number: no limit
            found.append(max(0, int(limit.read_text()) - int(used.read_text())))
    if not found:
        with suppress(OSError, ValueError, AttributeError):
            found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    return min(found, default=None)


def peak_memory() -> int | None:
    """The most bytes of memory that this process had so far; None where the system does not tell it."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    found = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return found if sys.platform == "darwin" else 1024 * found


@contextmanager
def keep_freed_memory() -> Iterator[None]:
    """Makes glibc keep the memory of freed arrays for new ones. Does nothing with another C library.

    By default glibc returns much of it to the system after each step, and the system hands out new
    pages for the next step and clears them: 3% of the time of a small GPT, 12% of the notes' GPT.
    Use it in the main thread, one at a time; other threads still return arrays above 64 MB.
    """
    try:
        libc = ctypes.CDLL(None)
        mallopt, trim = libc.mallopt, libc.malloc_trim
    except (AttributeError, OSError, TypeError):
        yield
        return
    mallopt(M_MMAP_MAX, 0)
    mallopt(M_TRIM_THRESHOLD, -1)
    try:
        yield
    finally:
        mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD)
        mallopt(M_MMAP_MAX, MMAP_MAX)
        mallopt(M_TRIM_THRESHOLD, TRIM_THRESHOLD)
        trim(0)


def cores() -> int:
    """CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def host() -> str:
    """The name of this machine."""
    return socket.gethostname()


def boot() -> str:
    """An id of the current boot of this machine; empty where the system has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def command_line(pid: int) -> list[str]:
    """The words that a process was started by; none where the system does not tell them."""
    try:
        return os.fsdecode(Path(f"/proc/{pid}/cmdline").read_bytes()).split("\0")[:-1]
    except OSError:
        return []


def alive(pid: str) -> bool:
    """Whether a process with this id may still be running."""
    if os.name == "nt":  # os.kill would end it
        return True
    if not pid.isdecimal() or len(pid) > 9:
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def format_bytes(n_bytes: float) -> str:
    """A number of bytes in the largest decimal unit.

    >>> format_bytes(3_200_000_000), format_bytes(1_500), format_bytes(12)
    ('3.2 GB', '1.5 kB', '12 B')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if n_bytes < 1000:
            return f"{n_bytes:.1f} {unit}" if unit != "B" else f"{n_bytes:.0f} B"
        n_bytes /= 1000
    return f"{n_bytes:.1f} TB"
