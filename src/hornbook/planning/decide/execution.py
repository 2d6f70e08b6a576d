"""How steps are computed on this machine as it is now: threads, precision, compiling."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from hornbook.engine.compiled import Form
from hornbook.engine.step import Parallel
from hornbook.errors import ConfigError
from hornbook.machine import format_bytes
from hornbook.planning import tuning
from hornbook.planning.decision import REQUESTED, Decision

Precision = Literal["fp32", "bf16"]


def device(requested: str, found: str) -> Decision[str]:
    """The device that was found for a request: a GPU where there is one."""
    if requested != "auto":
        return Decision(found, REQUESTED)
    return Decision(found, "no GPU was found" if found == "cpu" else "a GPU was found")


def thread_counts(available: int) -> list[int]:
    """The numbers of threads that are tried: all that are available, half as many, ... one."""
    counts = [available]
    while counts[-1] > 1:
        counts.append(counts[-1] // 2)
    return counts


def threads(
    requested: int | Literal["auto"],
    available: int,
    *,
    device: str,
    fixed: str = "",
    measure: Callable[[Sequence[int]], Mapping[int, float]],
) -> Decision[int]:
    """CPU threads: the fewest that are about as fast as the fastest number, at this moment.

    On a busy machine threads wait for each other: one may be many times as fast as two.
    fixed: why the number is not to depend on a measurement; empty where it may.
    measure: seconds of a step with each number of threads.
    """
    if requested != "auto":
        return Decision(requested, REQUESTED)
    if available == 1:
        return Decision(1, "one is available")
    if device != "cpu":
        return Decision(available, "the GPU computes")
    if fixed:
        return Decision(available, fixed)
    seconds = measure(thread_counts(available))
    fastest = min(seconds.values())
    chosen = min(n for n, took in seconds.items() if took <= tuning.FEWER_THREADS * fastest)
    figures = ", ".join(f"{n}: {float(f'{took * 1e3:.3g}'):,g} ms" for n, took in seconds.items())
    return Decision(chosen, f"measured, a step takes with {figures}")


def parallel(
    requested: Literal["auto", "ddp", "fsdp"],
    replicas: int,
    world_size: int,
    *,
    needed: int,
    available: int | None,
) -> Decision[Parallel]:
    """How several processes share the work: each has all weights (ddp) or a part of them (fsdp).

    replicas: requested, copies of all weights. needed: bytes of weights with gradients and optimizer,
    of those available to each process. Raises ConfigError where replicas do not divide the processes.
    """
    if world_size % replicas:
        raise ConfigError(
            f"training.replicas: found {replicas} for {world_size} processes, expected a divisor of "
            "their number; give another, or start another number (torchrun --nproc-per-node)"
        )
    if requested != "auto":
        return Decision(requested, REQUESTED)
    if available is None:
        return Decision("ddp", "all weights on each")
    what = f"weights with gradients and optimizer take {format_bytes(needed)}"
    if needed <= available * tuning.REPLICATED_SHARE:
        return Decision("ddp", f"{what} of {format_bytes(available)}, on each process")
    return Decision("fsdp", f"{what}, with {format_bytes(available)} on each process")


def check_probes(probe_every: int) -> None:
    """Raises ConfigError where a model of sharded weights is to be probed."""
    if probe_every:
        raise ConfigError(
            f"training.probe_every: found {probe_every} with sharded weights (fsdp), expected 0; leave "
            "it out, or train with --parallel ddp"
        )


def precision(
    requested: Literal["auto", "fp32", "bf16"],
    *,
    fixed: str = "",
    has_bf16: bool,
    known: str | None = None,
    minutes: float | None = None,
    measure: Callable[[], float],
) -> Decision[Precision]:
    """fp32, or bf16 where its steps are clearly faster.

    fixed: why fp32 is not to be measured against bf16. known: that of the runs before, which are to
    differ by their settings alone. minutes: of a time budget, where measuring takes a part of it that
    counts. measure: seconds of a step in bf16 by those in fp32.
    """
    if requested != "auto":
        return Decision(requested, REQUESTED)
    if fixed:
        return Decision("fp32", fixed)
    if not has_bf16:
        return Decision("fp32", "no instructions for bf16 here")
    if known is not None:
        return Decision("bf16" if known == "bf16" else "fp32", "as in the runs before")
    if minutes is not None and minutes < tuning.SHORT_MINUTES:
        return Decision("fp32", "too little time to measure bf16")
    ratio = measure()
    reason = f"measured, a step in bf16 takes {ratio:.2f} of the time in fp32"
    return Decision("bf16" if ratio < tuning.FASTER else "fp32", reason)


def compilation(
    requested: Literal["auto", "yes", "no"],
    form: Form,
    *,
    device: str,
    fixed: str = "",
    has_compiler: bool,
    run_seconds: Callable[[], float],
    measure: Callable[[Form], float],
) -> Decision[Form]:
    """What is compiled: nothing, the loss, each block, or several steps at once (form: what could be).

    run_seconds: what the steps of the run take without. measure: seconds of a step compiled by those
    without; raises RuntimeError or OSError where it cannot be compiled.
    """
    if requested == "no" or fixed:
        return Decision("no", REQUESTED if requested == "no" else fixed)
    if not has_compiler:
        return Decision("no", "found no C++ compiler" if device == "cpu" else "found no Triton")
    if requested == "yes" and form != "steps":  # the first step shows whether it works
        return Decision(form, REQUESTED)
    if requested == "auto":
        if form != "steps" and device == "cpu":
            what = "a compiled loss saves" if form == "loss" else "compiled blocks save"
            return Decision("no", f"on a CPU {what} too little")
        least, seconds = worthwhile_seconds(form), run_seconds()
        if seconds < least:
            return Decision("no", f"saves time from {least:.0f} s of steps on; these take less")
    try:
        ratio = measure(form)
    except (RuntimeError, OSError) as error:  # torch's compilers raise many kinds of them
        return Decision("no", f"it failed here: {type(error).__name__}")
    reason = f"measured, a step takes {ratio:.2f} of the time"
    if requested == "yes":
        return Decision(form, f"{REQUESTED}; {reason}")
    return Decision(form if ratio < tuning.FASTER else "no", reason)


def worthwhile_seconds(form: Form) -> float:
    """Seconds of a run from which compiling saves twice what it costs."""
    return 2 * tuning.COMPILE_SECONDS[form] / tuning.COMPILE_SAVES[form]
