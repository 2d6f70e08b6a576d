"""A request while it is generated, between the engine's thread and the event loop of its client."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence

from hornbook.models.base import LanguageModel, Window
from hornbook.serve.choice import Choice, Piece

BatchKey = tuple[LanguageModel, Window]


class Job:
    """The continuations of one request, and what became certain of them.

    Made in the event loop that will ask for the pieces; `pieces` ends after the end of each choice.
    """

    def __init__(
        self, model: LanguageModel, window: Window, choices: Sequence[Choice], *, stream: bool
    ) -> None:
        self.key: BatchKey = (model, window)
        self.choices, self.stream = list(choices), stream
        self.cancelled = False
        self.error: BaseException | None = None
        self.left = len(self.choices)
        self.began = time.monotonic()
        self.loop = asyncio.get_running_loop()
        self._pieces: deque[Piece] = deque()
        self._news = asyncio.Event()

    def cancel(self) -> None:
        """Nobody waits for it any more."""
        self.cancelled = True

    def put(self, piece: Piece) -> bool:
        """Takes what is new, in the engine's thread. Returns whether the client is to be woken."""
        if self.stream:
            self._pieces.append(piece)
        self.left -= piece.finish is not None  # last: then no piece is to come
        return self.stream or not self.left

    def wake(self) -> None:
        """Says in the event loop that there is something new."""
        self._news.set()

    async def news(self) -> list[Piece]:
        """The pieces since the last call, at least one; of a job that is not streamed nothing, when
        all of it is there. Raises what went wrong while it was generated."""
        while True:
            if self.error is not None:
                raise self.error
            if self._pieces:
                return [self._pieces.popleft() for _ in range(len(self._pieces))]
            if not self.left:
                return []
            self._news.clear()
            await self._news.wait()
