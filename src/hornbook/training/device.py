"""Where to compute and in what precision: by looking and by measuring, never by assumption."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch

from hornbook.errors import ConfigError

PAYS = 0.9  # bf16 is chosen where its step takes less than this share of the float32 step


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


def choose_precision(
    wanted: str, device: torch.device, step: Callable[[str], object]
) -> tuple[str, str]:
    """fp32 or bf16, and why. `step(precision)` computes one loss and its gradients.

    Measured in pairs: the median of three after one to warm up, ended early where bf16 takes more
    than ten times as long (a CPU without instructions for it).
    """
    if wanted != "auto":
        return wanted, "as told"
    seconds: dict[str, list[float]] = {"fp32": [], "bf16": []}
    for attempt in range(4):
        for precision, times in seconds.items():
            begin = time.perf_counter()
            step(precision)
            if device.type == "cuda":
                torch.cuda.synchronize()
            if attempt or precision == "bf16":
                times.append(time.perf_counter() - begin)
        if seconds["bf16"][-1] > 10 * min(seconds["fp32"], default=seconds["bf16"][-1]):
            break
    fp32, bf16 = (statistics.median(times) for times in seconds.values())
    chosen = "bf16" if bf16 < PAYS * fp32 else "fp32"
    return chosen, f"measured: bf16 takes {bf16 / fp32:.2f} of the time of fp32"


def describe_device(device: torch.device) -> str:
    """The device in words."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "cpu":
        return f"CPU, {torch.get_num_threads()} threads"
    return "Apple GPU (MPS)"
