"""Where to compute and in what precision: by looking and by measuring, never by assumption."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch

from hornbook.errors import ConfigError

PAYS = 0.9  # bf16 is chosen where its step takes less than this share of the float32 step
LONGEST = 1.0  # seconds after which no further pair of steps is measured
CLEAR = 1.5  # times as fast in two pairs in a row: nor then


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


def choose_precision(
    wanted: str, device: torch.device, step: Callable[[str], object]
) -> tuple[str, str]:
    """fp32 or bf16, and why. `step(precision)` computes one loss and its gradients.

    Where there are instructions for bf16 both are measured in pairs: the median of five after one
    to warm up, of two where those take longer than `LONGEST` or the matter is `CLEAR`.
    """
    if wanted != "auto":
        return wanted, "as told"
    if not has_bf16(device):
        return "fp32", "no instructions for bf16 here"
    ratios: list[float] = []
    spent = 0.0
    while len(ratios) < 3 or (len(ratios) < 6 and spent < LONGEST and not _clear(ratios[1:])):
        seconds = {}
        for precision in ("fp32", "bf16"):
            begin = time.perf_counter()
            step(precision)
            if device.type == "cuda":
                torch.cuda.synchronize()
            seconds[precision] = time.perf_counter() - begin
        spent += sum(seconds.values()) if ratios else 0.0
        ratios.append(seconds["bf16"] / seconds["fp32"])
    ratio = statistics.median(ratios[1:])
    return "bf16" if ratio < PAYS else "fp32", f"measured: bf16 takes {ratio:.2f} of fp32's time"


def _clear(ratios: list[float]) -> bool:
    """Whether the last two leave no doubt."""
    last = ratios[-2:]
    return len(last) == 2 and (min(last) > CLEAR or max(last) < 1 / CLEAR)


def describe_device(device: torch.device) -> str:
    """The device in words."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "cpu":
        return f"CPU, {torch.get_num_threads()} threads"
    return "Apple GPU (MPS)"
