"""Available memory, kept memory and processes of this machine."""

from __future__ import annotations

import doctest
import os
import platform
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch

from hornbook import machine
from hornbook.machine import (
    alive,
    available_memory,
    boot,
    format_bytes,
    host,
    keep_freed_memory,
    peak_memory,
)


def test_the_peak_of_memory_grows_with_what_is_taken() -> None:
    before = peak_memory()
    if before is None:
        pytest.skip("the system does not tell it")
    taken = b"1" * (before + (64 << 20))
    found = peak_memory()
    assert taken
    assert found is not None
    assert found >= before + (32 << 20)


# in a process of its own, whose main thread it is: the heap of this one holds other tests' arrays
PAGE_FAULTS = """
import resource, torch
from hornbook.machine import keep_freed_memory

def page_faults():
    arrays = [torch.zeros(16 << 20) for _ in range(2)]
    del arrays
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    arrays = [torch.zeros((16 << 20) - 4096) for _ in range(2)]
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

with keep_freed_memory():
    page_faults()
    kept = page_faults()
print(kept, page_faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is set")
def test_freed_memory_is_kept_inside_and_returned_outside() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PAGE_FAULTS], capture_output=True, text=True, check=True
    )
    kept, after = map(int, done.stdout.split())
    assert kept < 1000 < after


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctypes.CDLL", lambda name: object())
    with keep_freed_memory():
        assert torch.ones(3).sum() == 3


def test_the_smallest_limit_on_memory_counts(tmp_path: Path) -> None:
    meminfo, limit, used = (tmp_path / name for name in ("meminfo", "limit", "used"))
    cgroups = ((limit, used), (tmp_path / "no", tmp_path / "no"))
    available = partial(available_memory, meminfo, cgroups)
    fallback = available()  # neither file is there: all of the physical memory
    assert fallback is None or fallback > 1 << 20
    meminfo.write_text("MemTotal: 16 kB\nMemFree: 1 kB\nMemAvailable:    8 kB\n")
    assert available() == 8192
    limit.write_text("max\n")
    used.write_text("100\n")
    assert available() == 8192
    limit.write_text("5000\n")
    assert available() == 4900
    used.write_text("6000\n")
    assert available() == 0


@pytest.mark.skipif(os.name != "posix", reason="Windows is not asked")
def test_a_process_is_alive_until_it_has_ended() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert alive(str(child.pid))
    child.communicate(b"\n")
    assert not alive(str(child.pid))
    assert alive(str(os.getpid()))
    for text in ("", "-1", "1.5", "x", "9" * 10, "٣x"):
        assert not alive(text)


@pytest.mark.skipif(sys.platform != "linux", reason="as Linux names them")
def test_host_and_boot_are_those_of_the_system() -> None:
    assert host() == platform.node()
    assert len(boot()) == 36


@pytest.mark.parametrize(
    ("n_bytes", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (2.5e6, "2.5 MB"), (3e9, "3.0 GB"),
     (4.2e15, "4200.0 TB")],
)  # fmt: skip
def test_bytes_have_decimal_units(n_bytes: float, text: str) -> None:
    assert format_bytes(n_bytes) == text


def test_the_examples_of_the_docstrings_are_right() -> None:
    tried = doctest.testmod(machine)
    assert tried.attempted
    assert not tried.failed


@pytest.mark.parametrize(("policy", "expected"), [(None, "10000"), ("ACTIVE", "None")])
def test_threads_of_python_s_hornbook_spin_briefly_as_those_of_the_command(
    policy: str | None, expected: str
) -> None:
    code = "import os, hornbook; hornbook.RunError; print(os.environ.get('GOMP_SPINCOUNT'))"
    waiting = {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"}
    environment = {k: v for k, v in os.environ.items() if k not in waiting}
    if policy is not None:
        environment["OMP_WAIT_POLICY"] = policy
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == expected
