"""Where to compute, and what the machine has for it: by looking, never by assumption."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch

from hornbook.engine.peaks import PEAKS
from hornbook.errors import ConfigError
from hornbook.machine import peak_memory


def find_device(requested: str) -> torch.device:
    """The device for a setting. Raises ConfigError where the machine does not have it."""
    found = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    available = [*(name for name, is_there in found.items() if is_there), "cpu"]
    name = available[0] if requested == "auto" else requested
    if name not in available:
        raise ConfigError(
            f"training.device: found {name!r}, which this machine does not have; expected one of "
            f"{', '.join(available)}"
        )
    return torch.device(name)


def autocast(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """Matrix products in bf16, weights in float32; nothing for fp32."""
    if precision != "bf16":
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


def preserve_rng_state(device: torch.device) -> AbstractContextManager[object]:
    """Torch's generators are afterwards as they were before."""
    return torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])


@contextmanager
def use_threads(n: int) -> Iterator[None]:
    """Computes with n CPU threads, and afterwards with as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def deterministic_algorithms(wanted: bool) -> Iterator[None]:
    """Only operations that give the same bits every time; torch refuses the others."""
    if not wanted:
        yield
        return
    before = torch.are_deterministic_algorithms_enabled()
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # what cuBLAS needs for it
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)


def has_bf16(device: torch.device) -> bool:
    """Whether there are instructions for products in bf16 (AMX, AVX-512 BF16, tensor cores)."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        checks = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
        return any(getattr(torch.cpu, check, bool)() for check in checks)
    return False


def memory_taken(device: torch.device) -> int | None:
    """The most bytes so far: that tensors took on a GPU; elsewhere that this process had.

    None where the system does not tell it.
    """
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    return peak_memory()


def peak_operations(device: torch.device, precision: str) -> float | None:
    """Floating-point operations that a GPU is made for in a second; None where that is not known, as of
    CPUs, whose frequency depends on what they compute."""
    if device.type != "cuda":
        return None
    name = torch.cuda.get_device_name(device)
    peaks = next((peaks for gpu, peaks in PEAKS.items() if gpu in name), {})
    return peaks.get(precision)


def synchronize(device: torch.device) -> None:
    """Waits until the device has computed what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    elif device.type == "mps":
        torch.mps.synchronize()


def describe_device(device: torch.device) -> str:
    """The device in words."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return "CPU" if device.type == "cpu" else "Apple GPU (MPS)"
