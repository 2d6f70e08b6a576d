"""Devices, threads and generators: what is asked for, and back to what was before."""

from __future__ import annotations

from contextlib import AbstractContextManager

import pytest
import torch

from hornbook.engine.device import (
    autocast,
    describe_device,
    deterministic_algorithms,
    find_device,
    has_bf16,
    peak_operations,
    preserve_rng_state,
    synchronize,
    use_threads,
)
from hornbook.errors import ConfigError

CPU = torch.device("cpu")


def fail_in(context: AbstractContextManager[object]) -> None:
    """Leaves a block by an error."""
    with pytest.raises(KeyError), context:
        raise KeyError


def test_the_device_is_the_best_that_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    for cuda, mps, expected in ((True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")):
        monkeypatch.setattr("torch.cuda.is_available", lambda there=cuda: there)
        monkeypatch.setattr("torch.backends.mps.is_available", lambda there=mps: there)
        assert find_device("auto").type == expected
        assert find_device("cpu").type == "cpu"


def test_a_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(
        ConfigError, match=r"training.device: found 'cuda', .* expected one of .*cpu"
    ):
        find_device("cuda")


def test_autocast_is_for_bf16_alone() -> None:
    a = torch.ones(2, 2)
    for precision, expected in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        with autocast(CPU, precision):
            assert (a @ a).dtype == expected


def test_generators_are_left_as_they_were() -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    with preserve_rng_state(CPU):
        torch.manual_seed(4)
        torch.rand(5)
    assert torch.equal(torch.get_rng_state(), before)


def test_threads_are_set_for_a_block() -> None:
    before = torch.get_num_threads()
    with use_threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before
    fail_in(use_threads(before + 1))
    assert torch.get_num_threads() == before


def test_determinism_is_set_for_a_block() -> None:
    with deterministic_algorithms(False):
        assert not torch.are_deterministic_algorithms_enabled()
    with deterministic_algorithms(True):
        assert torch.are_deterministic_algorithms_enabled()
    assert not torch.are_deterministic_algorithms_enabled()
    fail_in(deterministic_algorithms(True))
    assert not torch.are_deterministic_algorithms_enabled()


def test_instructions_for_bf16_are_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    checks = ("torch.cpu._is_amx_tile_supported", "torch.cpu._is_avx512_bf16_supported")
    for there in (False, True):
        for check in checks:
            monkeypatch.setattr(check, lambda there=there: there, raising=False)
        assert has_bf16(CPU) is there
    assert not has_bf16(torch.device("mps"))


def test_a_cpu_is_described_and_never_waited_for() -> None:
    assert describe_device(CPU) == "CPU"
    synchronize(CPU)


@pytest.mark.parametrize(
    ("name", "precision", "peak"),
    [
        ("NVIDIA H100 80GB HBM3", "bf16", 989e12),
        ("NVIDIA H100 PCIe", "bf16", 756e12),
        ("NVIDIA A100-SXM4-40GB", "fp32", 19.5e12),
        ("NVIDIA L40S", "bf16", 362e12),
        ("NVIDIA L4", "bf16", 121e12),
        ("something new", "bf16", None),
    ],
)
def test_what_a_gpu_is_made_for(
    name: str, precision: str, peak: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: name)
    assert peak_operations(torch.device("cuda"), precision) == peak
    assert peak_operations(torch.device("cpu"), precision) is None
