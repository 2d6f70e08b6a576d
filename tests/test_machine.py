"""What this machine has."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest
import torch

from hornbook.machine import freed_memory_kept

# in a process of its own, whose main thread it is: what other tests left in the heap is in the way
FAULTS = """
import resource, torch
from hornbook.machine import freed_memory_kept

def faults():
    arrays = [torch.zeros(16 << 20) for _ in range(2)]
    del arrays
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    arrays = [torch.zeros((16 << 20) - 4096) for _ in range(2)]
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

with freed_memory_kept():
    faults()
    kept = faults()
print(kept, faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told")
def test_freed_memory_is_kept_for_the_next_array_and_given_back_at_the_end() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True
    )
    kept, after = map(int, done.stdout.split())
    assert kept < 1000 < after


def test_another_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: None) -> object:
        return object()

    monkeypatch.setattr("ctypes.CDLL", missing)
    with freed_memory_kept():
        assert torch.ones(3).sum() == 3
