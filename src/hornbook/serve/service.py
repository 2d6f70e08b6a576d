"""What all endpoints share: the runs, the engine, and threads for what is not generation."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import torch

from hornbook.generate.rows import Rows
from hornbook.process import standard_defaults
from hornbook.run import Run
from hornbook.serve.engine import Engine, QueueFullError, StoppedError
from hornbook.serve.errors import ApiError
from hornbook.serve.limits import Limits
from hornbook.serve.shelf import Shelf

T = TypeVar("T")


class Tasks:
    """A thread that does one thing after the other, and a bound on how many wait for it."""

    def __init__(self, name: str, most: int) -> None:
        self.most, self.pending = most, 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)

    async def run(self, what: Callable[..., T], *arguments: Any) -> T:
        """Calls a function in the thread. Raises QueueFullError where too many wait already."""
        if self.pending >= self.most:
            raise QueueFullError(1)
        self.pending += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._thread, _as_by_default, what, *arguments)
        finally:
            self.pending -= 1

    def stop(self) -> None:
        """Ends the thread after what runs."""
        self._thread.shutdown(wait=False, cancel_futures=True)


def _as_by_default(what: Callable[..., T], *arguments: Any) -> T:
    with standard_defaults():
        return what(*arguments)


class Service:
    """The server without HTTP.

    tasks: scoring and what is as quick. slow: what may read a whole corpus, such as a comparison.
    """

    def __init__(self, shelf: Shelf, limits: Limits | None = None) -> None:
        self.shelf, self.limits = shelf, limits or Limits()
        self.engine = Engine(self.limits)
        self.tasks = Tasks("tasks", self.limits.tasks)
        self.slow = Tasks("slow", self.limits.tasks)
        self.began = time.time()
        self.stopping = self._refreshing = False

    def check_open(self) -> None:
        """Raises StoppedError while the server is being stopped."""
        if self.stopping:
            raise StoppedError

    async def run(self, model: str | None) -> tuple[str, Run]:
        """The name and the run that a request asks for; the only one where it names none.

        Raises ApiError, UnknownModelError, RunError.
        """
        self.check_open()
        listing = self.shelf.listing
        if listing.is_stale and not self._refreshing:  # meanwhile the old one is good enough
            self._refreshing = True
            asyncio.get_running_loop().run_in_executor(None, self._refresh)
        if model is None:
            if len(listing.weights) != 1:
                names = ", ".join(list(listing.weights)[:8]) or "none yet"
                raise ApiError(
                    400, f"model: found none, expected one of those served: {names}", param="model"
                )
            (model,) = listing.weights
        run = self.shelf.loaded(model)
        if run is None:
            run = await self.slow.run(self.shelf.load, model)
        return model, run

    def _refresh(self) -> None:
        try:
            self.shelf.refresh()
        finally:
            self._refreshing = False

    def warm_up(self) -> None:
        """Generates a little, so that the first request does not wait for what is made once."""
        name = next(iter(self.shelf.names), None)
        run = None if name is None else self.shelf.loaded(name)
        if run is not None:
            rows, tokens = Rows(run.model), torch.empty(0, dtype=torch.int64)
            for prompts in ([[run.tokenizer.start_id]], [[run.tokenizer.start_id] * 2]):
                tokens = rows.step(tokens, prompts).argmax(-1)

    def stop(self) -> None:
        """Ends all threads."""
        self.stopping = True
        self.engine.stop()
        self.tasks.stop()
        self.slow.stop()
