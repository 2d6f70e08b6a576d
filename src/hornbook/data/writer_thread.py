"""A thread that writes (or hashes) what another one reads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

MOST_WAITING = 4  # calls


@contextmanager
def writer_thread() -> Iterator[Callable[..., None]]:
    """A function that makes calls in order in a thread of their own: `submit(function, *arguments)`.

    At most MOST_WAITING calls wait, which bounds memory: then `submit` waits as well. What a call
    raises is raised by a later `submit`, or when the context ends.
    """
    waiting: deque[Future[Any]] = deque()

    def submit(function: Callable[..., Any], *arguments: Any) -> None:
        waiting.append(pool.submit(function, *arguments))
        if len(waiting) > MOST_WAITING:
            waiting.popleft().result()

    with ThreadPoolExecutor(1) as pool:
        yield submit
        for call in waiting:
            call.result()
