"""What torch and NumPy keep for a whole process or thread, which a program may have set otherwise.

hornbook is written for float32 tensors on the CPU, moved to a device explicitly. A program that has
set another default dtype or device, or that calls hornbook inside `torch.no_grad()`, is to get the
same numbers. Training also needs torch's global generator and its threads for itself.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TypeVar

import numpy as np
import torch

from hornbook.errors import RunError

T = TypeVar("T")


@contextmanager
def standard_defaults() -> Iterator[None]:
    """New tensors are float32 on the CPU unless something else is asked for, and can have gradients
    later, and no operation is computed in another dtype by autocast; afterwards as before.

    The default dtype is the process's: where it is another one, other threads see float32 meanwhile.
    """
    before = torch.get_default_dtype()
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        if torch.get_default_device().type != "cpu":  # a mode costs time at each operation
            stack.enter_context(torch.device("cpu"))
        if before != torch.float32:
            torch.set_default_dtype(torch.float32)
            stack.callback(torch.set_default_dtype, before)
        for kind in ("cpu", "cuda"):
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        yield


@contextmanager
def training_state(what: str) -> Iterator[None]:
    """What training needs of the process: standard defaults, gradients, float32 in full, NumPy's
    standard handling of overflow, and no other training at the same time.

    what: who trains, for the message. Raises RunError where another training runs in this process:
    both would draw from torch's one generator, and set its threads, so neither could be repeated.
    """
    with ExitStack() as stack:
        stack.enter_context(_only_one(what))
        stack.enter_context(standard_defaults())
        stack.enter_context(torch.enable_grad())
        stack.enter_context(np.errstate(divide="warn", over="warn", under="ignore", invalid="warn"))
        precision = torch.get_float32_matmul_precision()
        if precision != "highest":  # float32 is float32; `training.precision` chooses another
            torch.set_float32_matmul_precision("highest")
            stack.callback(torch.set_float32_matmul_precision, precision)
        yield


def step_by_step(pieces: Iterator[T]) -> Iterator[T]:
    """The same pieces, each computed with the standard defaults: a generator leaves them in between."""
    while True:
        with standard_defaults():
            try:
                piece = next(pieces)
            except StopIteration:
                return
        yield piece


_lock = threading.Lock()
_running: list[str] = []  # at most one: what trains, and in which thread
if hasattr(os, "register_at_fork"):  # a child process trains nothing yet
    os.register_at_fork(after_in_child=_running.clear)


@contextmanager
def _only_one(what: str) -> Iterator[None]:
    with _lock:
        if _running:
            raise RunError(
                f"{what}: found {_running[0]} still running in this process, expected one training "
                "at a time, since they share torch's random generator and threads; wait until it has "
                "ended, or train in another process"
            )
        _running.append(f"{what} ({threading.current_thread().name})")
    try:
        yield
    finally:
        _running.clear()
