"""Says on stderr what takes long, so that a command is never silent for more than two seconds.

On a terminal one line, which is written again each second and vanishes; elsewhere a line where a stage
takes long, and again every ten seconds.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, Self, TextIO

from hornbook.stages import watched

TICK = 0.2  # seconds between two looks
FIRST, EVERY = 1.5, 10.0  # seconds without a line before one about another stage, or the same one
YOUNG = 0.5  # seconds of a stage before anything is said about it
CLEAR = "\x1b[K"
LIBRARIES = {"torch": "PyTorch", "matplotlib": "Matplotlib"}  # that are slow to import


class Heartbeat:
    """Watches stages and imports: `with Heartbeat(): ...`.

    stream: where to write. now: the time in seconds.
    """

    def __init__(
        self, stream: TextIO | None = None, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.stream = sys.stderr if stream is None else stream
        self.now, self.terminal = now, self.stream.isatty()
        self.what: str | None = None
        self.since = self.written = now()
        self.told = False  # whether a line was written about this stage
        self.shown = False  # whether it still stands on the terminal
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._stack.enter_context(watched(self.watch))
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

    def look(self) -> None:
        """Writes a line where one is due."""
        with self._lock:
            what, now = self.what or importing(), self.now()
            if what is None:
                self.since = self.written = now
                self._clear()
                return
            age, silent = now - self.since, now - self.written
            again = 1.0 if self.terminal else EVERY
            if age < YOUNG or silent < (again if self.told else FIRST):
                return
            line = f"  {what} ... {age:.0f} s"
            # on a terminal the next line, whoever prints it, is written over this one
            self._write(f"{CLEAR}{line}\r" if self.terminal else f"{line}\n")
            self.told, self.shown = True, self.terminal

    def _write(self, text: str) -> None:
        self.written = self.now()
        try:
            self.stream.write(text)
            self.stream.flush()
        except (OSError, ValueError):  # nobody reads it: the command itself finds out
            self._ended.set()

    def _clear(self) -> None:
        if self.shown:
            self._write(CLEAR)
            self.shown = False

    def _beat(self) -> None:
        while not self._ended.wait(TICK):
            self.look()


def importing() -> str | None:
    """That a large library is being imported; None where none is."""
    for name, title in LIBRARIES.items():
        spec: Any = getattr(sys.modules.get(name), "__spec__", None)
        if getattr(spec, "_initializing", False):
            return f"loading {title}"
    return None


def _name(what: str | None) -> str:
    return (what or "").partition(":")[0]
