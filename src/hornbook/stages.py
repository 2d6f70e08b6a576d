"""What hornbook does at the moment, for whoever shows it: the command line does, a library does not.

    with stage("reading the corpus"):
        ...

Where nobody watches, a stage costs next to nothing and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")
Watcher = Callable[[str | None], None]

_watchers: list[Watcher] = []
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
def watched(watcher: Watcher) -> Iterator[None]:
    """Calls a function with each stage that begins, and with the outer one, or None, where it ends.

    Of several watchers, the one that came last is called.
    """
    _watchers.append(watcher)
    try:
        yield
    finally:
        _watchers.remove(watcher)


def _notify(what: str | None) -> None:
    if _watchers:
        _watchers[-1](what)
