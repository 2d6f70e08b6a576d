"""What this machine is and has: its name, its boot, its memory. Standard library only."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from pathlib import Path

MEMINFO = Path("/proc/meminfo")
CGROUPS = (  # limit and use of a container, versions 2 and 1
    (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")),
    (
        Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
        Path("/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ),
)


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
