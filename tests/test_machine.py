"""What this machine has."""

from __future__ import annotations

import platform
import resource

import pytest
import torch

from hornbook.machine import freed_memory_kept


def faults() -> int:
    """Pages that the system had to hand out for 128 MB of arrays that were freed just before.

    A little less, for glibc up to 2.37 cannot put an aligned array into a hole of just its size.
    """
    arrays = [torch.zeros(16 << 20) for _ in range(2)]
    del arrays
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    arrays = [torch.zeros((16 << 20) - 4096) for _ in range(2)]
    after = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    assert len(arrays) == 2
    return after - before


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told")
def test_freed_memory_is_kept_for_the_next_array_and_given_back_at_the_end() -> None:
    with freed_memory_kept():
        faults()
        kept = faults()
    assert kept < 1000 < faults()


def test_another_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: None) -> object:
        return object()

    monkeypatch.setattr("ctypes.CDLL", missing)
    with freed_memory_kept():
        assert torch.ones(3).sum() == 3
