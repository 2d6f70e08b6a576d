"""A thread that writes (or hashes) what another one reads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self

MOST_WAITING = 4  # calls


class WriterThread:
    """Makes calls in order in a thread of its own; at most MOST_WAITING wait, which bounds memory.

    What a call raises is raised by a later call, or when the context ends.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1)
        self._waiting: deque[Future[Any]] = deque()

    def submit(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Calls a function later; waits while too many calls do."""
        self._waiting.append(self._pool.submit(function, *arguments))
        if len(self._waiting) > MOST_WAITING:
            self._waiting.popleft().result()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=kind is not None)
        if kind is None:
            for call in self._waiting:
                call.result()
