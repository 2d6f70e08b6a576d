"""What hornbook does at the moment, for whoever shows it: the command line does, a library does not.

    with stage("reading the corpus"):
        ...

Where nobody watches, a stage costs next to nothing and changes nothing.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TextIO, TypeVar

Item = TypeVar("Item")
Watcher = Callable[[str | None], None]

TRAINING = "training"  # the stage of the steps, which have their own progress
WATCHED, STORED = 1.5, 10.0  # seconds between lines, where somebody may watch and in a file

_watchers: list[tuple[Watcher, Callable[[], None]]] = []
_stages: list[str] = []


@contextmanager
def stage(what: str) -> Iterator[Callable[[str], None]]:
    """Says what is done inside. Yields a function that says more about it, such as how far it is.

    >>> with watched(print), stage("sweep") as tell:
    ...     tell("step 2 of 300")
    sweep
    sweep: step 2 of 300
    None
    """
    _stages.append(what)
    _notify(what)
    try:
        yield lambda more: _notify(f"{what}: {more}")
    finally:
        _stages.pop()
        _notify(_stages[-1] if _stages else None)


def tracked(what: str, items: Sequence[Item]) -> Iterator[Item]:
    """Each item in turn, as a stage that says which share of them is done."""
    with stage(what) as tell:
        for done, item in enumerate(items):
            tell(f"{done / len(items):.0%}")
            yield item


@contextmanager
def watched(watcher: Watcher, on_line: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Calls a function with each stage that begins, and with the outer one, or None, where it ends.

    on_line: called where somebody else writes a line for whoever watches (`line_written`). Of several
    watchers, the one that came last is called.
    """
    entry = (watcher, on_line)
    _watchers.append(entry)
    try:
        yield
    finally:
        _watchers.remove(entry)


def is_watched() -> bool:
    """Whether a watcher is registered."""
    return bool(_watchers)


def line_written() -> None:
    """Says that a line was just written for whoever watches, so none of the watcher's is due."""
    if _watchers:
        _watchers[-1][1]()


def seconds_between_lines(stream: TextIO) -> float:
    """How long a stream that is no terminal may have no new line.

    A pipe may be read while it is written (`| tee`, a remote shell, another program's window), a file
    is read later: there a long training would only fill it.
    """
    try:
        return STORED if stat.S_ISREG(os.fstat(stream.fileno()).st_mode) else WATCHED
    except (OSError, ValueError, AttributeError):  # a notebook's, or of a test
        return WATCHED


def _notify(what: str | None) -> None:
    if _watchers:
        _watchers[-1][0](what)
