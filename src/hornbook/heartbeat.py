"""Says what takes long, so that nothing is silent for more than two seconds where somebody may watch.

On a terminal one line, which is written again each second and vanishes, in a notebook as well; in a
pipe, which somebody may read as it is written, a line at least every two seconds; in a file, which is
read later, a first line and then one every ten seconds (`stages.seconds_between_lines`).
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, Self, TextIO

from hornbook.stages import seconds_between_lines, watched

TICK = 0.2  # seconds between two looks
FIRST = 1.5  # seconds without a line before one about another stage
YOUNG = 0.5  # seconds of a stage before anything is said about it
CLEAR = "\x1b[K"
LIBRARIES = {  # that are slow to import
    "torch": "PyTorch",
    "matplotlib": "Matplotlib",
    "hornbook": "hornbook",
}


class Heartbeat:
    """Watches stages and imports: `with Heartbeat(): ...`.

    stream: where to write. now: the time in seconds. rewritten: whether a line can be written again;
    by default on a terminal.
    """

    def __init__(
        self,
        stream: TextIO | None = None,
        now: Callable[[], float] = time.monotonic,
        *,
        rewritten: bool | None = None,
    ) -> None:
        self.stream = sys.stderr if stream is None else stream
        self.now, self.terminal = now, self.stream.isatty()
        self.rewritten = self.terminal if rewritten is None else rewritten
        self.again = 1.0 if self.rewritten else seconds_between_lines(self.stream)
        self.what: str | None = None
        self.since = self.written = now()
        self.told = False  # whether a line was written about this stage
        self.shown = False  # whether it still stands on the terminal
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._stack.enter_context(watched(self.watch, self.heard))
        threading.Thread(target=self._beat, daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._ended.set()
        self._stack.close()
        self.watch(None)

    def watch(self, what: str | None) -> None:
        """Another stage begins, or none is left; more about the same stage does not begin it anew."""
        with self._lock:
            if _name(what) != _name(self.what):
                self.since, self.told = self.now(), False
                self._clear()
            self.what = what

    def heard(self) -> None:
        """Another line was written, by whoever knows more about the stage."""
        self.written, self.shown = self.now(), False

    def look(self) -> None:
        """Writes a line where one is due."""
        with self._lock:
            what, now = self.what or importing(), self.now()
            if what is None:  # written stays: what follows is not silent for as long again
                self.since = now
                self._clear()
                return
            age, silent = now - self.since, now - self.written
            if age < YOUNG or silent < (self.again if self.told else FIRST):
                return
            line = f"  {what} ... {age:.0f} s"
            # where it can be written again, the next line, whoever prints it, is written over this one
            self._write(f"{self._clear_line}{line}\r" if self.rewritten else f"{line}\n")
            self.told, self.shown = True, self.rewritten

    def _write(self, text: str) -> None:
        self.written = self.now()
        try:
            self.stream.write(text)
            self.stream.flush()
        except (OSError, ValueError):  # nobody reads it: the command itself finds out
            self._ended.set()

    def _clear(self) -> None:
        if self.shown:
            self._write(self._clear_line)
            self.shown = False

    @property
    def _clear_line(self) -> str:
        return CLEAR if self.terminal else f"{' ' * 72}\r"  # a notebook knows no codes of terminals

    def _beat(self) -> None:
        while not self._ended.wait(TICK):
            self.look()


def importing() -> str | None:
    """That a large library, a part of one or of hornbook is being imported; None where none is."""
    for name, module in reversed(list(sys.modules.items())):  # the innermost import came last
        package = name.partition(".")[0]
        if package in LIBRARIES:
            spec: Any = getattr(module, "__spec__", None)
            if getattr(spec, "_initializing", False):
                return f"loading {LIBRARIES[package]}"
    return None


def _name(what: str | None) -> str:
    return (what or "").partition(":")[0]
