"""`hornbook doctor`: the speed, memory and libraries of this machine; a check of its device."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import timeit
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from hornbook.cli.common import Parser
from hornbook.errors import counted
from hornbook.table import table

if TYPE_CHECKING:
    import torch

LIBRARIES = ("torch", "numpy", "safetensors", "pydantic", "platformdirs", "rich", "matplotlib")
SIDE = 1024  # of the matrices that are multiplied
TOLERANCE = 1e-3  # of loss and gradients on a device, relative to the largest, against the CPU
LITTLE = 1 << 30  # bytes of memory or disk below which doctor warns


def run(arguments: list[str]) -> int:
    """Prints what was found; returns 1 if there is a problem."""
    parser = Parser("doctor")
    parser.add_argument(
        "--device",
        choices=("auto", "cpu", "cuda", "mps"),
        default="auto",
        metavar="DEVICE",
        help="auto, cpu, cuda or mps (default: auto)",
    )
    args = parser.parse_args(arguments)

    import torch

    from hornbook.data.cache import CacheError, cache_directory
    from hornbook.engine.device import describe_device, find_device, has_bf16
    from hornbook.machine import available_memory, format_bytes
    from hornbook.version import __version__

    device = find_device(args.device)
    bf16, memory = has_bf16(device), available_memory()
    dtypes = ["float32"] if device.type == "mps" else ["float32", "bfloat16"]
    cores = counted(os.cpu_count() or 1, "core")
    compilers = [c for c in (os.environ.get("CXX"), "g++", "clang++") if c and shutil.which(c)]
    result, trusted = check_device(device)
    rows = [
        ("hornbook", f"{__version__} in {Path(__file__).parents[1]}"),
        ("python", f"{platform.python_version()} ({sys.executable})"),
        ("libraries", ", ".join(f"{name} {_version(name)}" for name in LIBRARIES)),
        ("system", f"{platform.system()} {platform.release()}, {platform.machine()}"),
        ("device", describe_device(device)),
        (
            "threads",
            f"{torch.get_num_threads()} of {cores}, {_waiting()}",
        ),
        *((f"{dtype} matmul", f"{_speed(device, dtype):,.0f} GFLOP/s") for dtype in dtypes),
        ("bf16", f"{'' if bf16 else 'not '}supported in hardware"),
        ("compiler", [*compilers, "none: torch.compile cannot be used on the CPU"][0]),
        ("memory", "unknown" if memory is None else f"{format_bytes(memory)} available"),
    ]
    problems, places = [], [("disk", Path.cwd())]
    try:
        places.append(("cache", cache_directory()))
    except CacheError as error:
        problems.append(str(error))
    for what, path in places:
        there = next(p for p in (path, *path.absolute().parents) if os.path.exists(p))
        free, writable = shutil.disk_usage(there).free, os.access(there, os.W_OK)
        line = f"{path}: {format_bytes(free)} free"
        rows.append((what, line if writable else f"{line}, not writable"))
        if not writable:
            problems.append(
                f"{there} cannot be written; train elsewhere (hornbook train --out DIR), or set "
                "HORNBOOK_CACHE"
            )
        if free < LITTLE:
            problems.append(f"{there} has only {format_bytes(free)} free")
    if memory is not None and memory < LITTLE:
        problems.append(f"only {format_bytes(memory)} of memory available; close other programs")
    if not trusted:
        problems.append(
            f"{device.type} computes other results than the CPU; train with --device cpu"
        )
    print(table([*rows, ("check", result)]))
    for problem in problems:
        print(f"\nproblem: {problem}")
    return int(bool(problems))


def check_device(device: torch.device) -> tuple[str, bool]:
    """Compares a small GPT's loss and gradients, twice on a device, with the CPU's.

    Returns the result in words, and whether the device can be trusted.
    """
    import torch

    from hornbook.metrics.loss import batch_loss
    from hornbook.models.registry import build_model, model_config

    sizes = {"n_layer": 2, "n_head": 2, "n_kv_head": 2, "n_embd": 32, "n_hidden": 64}
    ids = torch.randint(1, 40, (4, 33), generator=torch.Generator().manual_seed(0))
    found: list[list[torch.Tensor]] = []
    for where in (torch.device("cpu"), device, device):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = build_model(model_config({"name": "gpt", **sizes}), 40, 0).to(where)
        there = ids.to(where)
        loss = batch_loss(model, there[:, :-1], there[:, 1:])
        loss.backward()  # type: ignore[no-untyped-call]
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        found.append([t.detach().cpu() for t in (loss, *gradients)])
    first, second, third = found
    apart = max(
        float((a - b).abs().max() / a.abs().max().clamp(min=1e-12))
        for a, b in zip(first, second, strict=True)
    )
    same = all(torch.equal(a, b) for a, b in zip(second, third, strict=True))
    twice = (
        "two runs agree bit for bit"
        if same
        else "two runs differ (hornbook train --deterministic makes them agree)"
    )
    if device.type == "cpu":
        return f"loss and gradients of a small GPT: {twice}", same
    trusted = apart <= TOLERANCE
    verdict = "can be trusted" if trusted else "cannot be trusted"
    return (
        f"loss and gradients of a small GPT differ from the CPU's by {apart:.1e} of the largest "
        f"(tolerance {TOLERANCE:g}): {device.type} {verdict}; {twice}"
    ), trusted


def _speed(device: torch.device, dtype: str) -> float:
    """GFLOP/s of a product of square matrices: the best of four."""
    import torch

    from hornbook.engine.device import has_bf16

    side = SIDE if dtype == "float32" or has_bf16(device) else SIDE // 8  # slow where emulated
    a = torch.ones(side, side, device=device, dtype=getattr(torch, dtype))
    seconds = timeit.repeat(lambda: (a @ a).sum().item(), number=1, repeat=4)
    return 2 * side**3 / min(seconds) / 1e9


def _waiting() -> str:
    policy = os.environ.get("OMP_WAIT_POLICY")
    if policy is None:
        spins = os.environ.get("GOMP_SPINCOUNT", "10000")  # `machine.spin_briefly`
        return f"which spin {spins} times, then sleep, when they wait"
    return f"which {'sleep' if policy.lower() == 'passive' else 'spin'} when they wait"


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "missing"
