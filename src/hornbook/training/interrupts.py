"""Ctrl-C and SIGTERM: the first one ends training after its state was saved, a second one at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from hornbook.parallel.launch import everywhere
from hornbook.runs.commands import same_command
from hornbook.runs.directory import StoredRun

SIGPIPE = 13  # which Windows lacks


class Interrupted(KeyboardInterrupt):
    """Training was interrupted and its state saved."""

    def __init__(self, run: StoredRun, step: int, number: int = signal.SIGINT) -> None:
        super().__init__(
            f"interrupted after step {step}; its state is saved. To resume{everywhere()}:\n"
            f"  {same_command(run.path)}"
        )
        self.run, self.step, self.signal = run, step, number


@contextmanager
def collected_signals(caught: list[int], *, launched: bool = False) -> Iterator[None]:
    """Collects the first SIGINT or SIGTERM in a list; a second one interrupts at once.

    In the main thread; in others signals are left alone. launched: by torchrun, be it one process: a
    cluster's SIGTERM comes to each process and again from torchrun, which kills those that do not end.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def note(number: int, frame: object) -> None:
        if caught and launched:
            return
        if caught and number == signal.SIGTERM:
            raise SystemExit(128 + number)
        if caught:
            raise KeyboardInterrupt
        caught.append(number)

    watched = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, note) for number in watched]
    try:
        yield
    finally:
        for number, handler in zip(watched, before, strict=True):
            signal.signal(number, handler)
