"""What this machine is and has: its name, its boot, its memory. Standard library only."""

from __future__ import annotations

import ctypes
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

MEMINFO = Path("/proc/meminfo")
CGROUPS = (  # limit and use of a container, versions 2 and 1
    (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")),
    (
        Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
        Path("/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ),
)
# glibc's mallopt: options, and values that it begins with or arrives at by itself
TRIM, MMAP_FROM, MMAPS = -1, -3, -4
TRIMMED_FROM, MMAPPED_FROM, MOST_MMAPS = 64 << 20, 32 << 20, 65_536


def available_memory() -> int | None:
    """Bytes that can still be had without swapping, within a container's limit; None if unknown."""
    found: list[int] = []
    with suppress(OSError, ValueError, IndexError, StopIteration):
        lines = MEMINFO.read_text().splitlines()
        found.append(1024 * int(next(x for x in lines if x.startswith("MemAvailable")).split()[1]))
    for limit, used in CGROUPS:
        with suppress(OSError, ValueError):  # "max" is no number, and no limit
            found.append(max(0, int(limit.read_text()) - int(used.read_text())))
    if not found:
        with suppress(OSError, ValueError, AttributeError):
            found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    return min(found, default=None)


@contextmanager
def freed_memory_kept() -> Iterator[None]:
    """Lets glibc keep the memory of freed arrays for the next; with other libraries nothing changes.

    Otherwise much goes back after each update, and the system hands out fresh pages for the next,
    zeroed: 3% of the time of a small GPT's, 12% of the notes' GPT's.
    In the main thread, once at a time: in others arrays above 64 MB go back.
    """
    try:
        libc = ctypes.CDLL(None)
        mallopt, trim = libc.mallopt, libc.malloc_trim
    except (AttributeError, OSError, TypeError):
        yield
        return
    mallopt(MMAPS, 0)
    mallopt(TRIM, -1)
    try:
        yield
    finally:
        mallopt(MMAP_FROM, MMAPPED_FROM)
        mallopt(MMAPS, MOST_MMAPS)
        mallopt(TRIM, TRIMMED_FROM)
        trim(0)


def host() -> str:
    """The name of this machine."""
    return socket.gethostname()


def boot() -> str:
    """What tells this boot of the machine from another; empty where the system does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def alive(pid: str) -> bool:
    """Whether a process of this number may still be there."""
    if os.name == "nt":  # asking would end it
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


def size(n_bytes: float) -> str:
    """Bytes for a reader.

    >>> size(3_200_000_000), size(1_500), size(12)
    ('3.2 GB', '1.5 kB', '12 B')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if n_bytes < 1000:
            return f"{n_bytes:.1f} {unit}" if unit != "B" else f"{n_bytes:.0f} B"
        n_bytes /= 1000
    return f"{n_bytes:.1f} TB"
