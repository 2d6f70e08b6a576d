"""Where to compute, and what a machine has for it: by looking, never by assumption."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

from hornbook.config import TrainingConfig
from hornbook.errors import ConfigError


def find_device(wanted: str) -> torch.device:
    """The device for a setting. Raises ConfigError where it is not there."""
    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if wanted == "auto":
        return torch.device(next(name for name, is_there in there.items() if is_there))
    if not there[wanted]:
        raise ConfigError(f"training.device: found {wanted!r}, which this machine does not have")
    return torch.device(wanted)


def autocast(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """Products in bf16, weights in float32; or nothing for fp32."""
    if precision != "bf16":
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


def generators_kept(device: torch.device) -> AbstractContextManager[object]:
    """Torch's generators are afterwards what they were."""
    return torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])


def has_bf16(device: torch.device) -> bool:
    """Whether there are instructions for products in bf16 (AMX, AVX-512 BF16, tensor cores)."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        checks = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
        return any(getattr(torch.cpu, check, bool)() for check in checks)
    return False


def told_precision(training: TrainingConfig, device: torch.device) -> tuple[str, str] | None:
    """fp32 or bf16, and why, where the settings or the machine decide; None where it is to be
    measured."""
    if training.precision != "auto":
        return training.precision, "as told"
    if training.reference:
        return "fp32", "reference"
    if training.deterministic:  # a measurement is not
        return "fp32", "deterministic"
    return None if has_bf16(device) else ("fp32", "no instructions for bf16 here")


def describe_device(device: torch.device) -> str:
    """The device in words."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "cpu":
        return f"CPU, {torch.get_num_threads()} threads"
    return "Apple GPU (MPS)"
