"""Generation for many requests at once: one thread, a bounded queue, one batch for each model.

A request that arrives joins the batch of its model at the next token, and one whose client went away
leaves it. Nothing here waits for a client: what was generated is put where the client's own task, in
the event loop of the server, finds it.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

import torch

from hornbook.serve.batch import Batch, Member
from hornbook.serve.choice import Choice
from hornbook.serve.job import BatchKey, Job
from hornbook.serve.limits import Limits

logger = logging.getLogger("hornbook.serve")
TURNS = 3  # of an event loop from the bytes of a request to its place in the queue
LONGEST_TURN = 0.02  # seconds that generation waits for the event loop


class QueueFullError(Exception):
    """There are as many requests as the server holds; `seconds` is when to try again."""

    def __init__(self, seconds: int) -> None:
        super().__init__("the queue is full")
        self.seconds = seconds


class StoppedError(Exception):
    """The server is being stopped, and takes no more requests."""


class FailedError(Exception):
    """Generation failed for a reason that is in the log."""


class Counters:
    """What `/metrics` reports of the engine."""

    def __init__(self) -> None:
        self.requests = self.prompt_tokens = self.generated = self.ticks = self.cancelled = 0
        self.refused = 0


class Engine:
    """Generates in a thread of its own until it is stopped."""

    def __init__(self, limits: Limits, now: Callable[[], float] = time.monotonic) -> None:
        self.limits, self.now, self.counters = limits, now, Counters()
        self._waiting: deque[Member] = deque()
        self._batches: dict[BatchKey, Batch] = {}
        self._news = threading.Condition()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    @property
    def running(self) -> int:
        """Continuations that are being generated."""
        return sum(len(batch.members) for batch in list(self._batches.values()))

    @property
    def queued(self) -> int:
        """Continuations that wait for a place."""
        return len(self._waiting)

    def submit(self, job: Job) -> None:
        """Queues a job. Raises QueueFullError, StoppedError."""
        with self._news:
            if self._stopped or not self._thread.is_alive():
                raise StoppedError
            waiting = [(job, c) for c in job.choices if not _follows(job, c)]
            if len(self._waiting) + len(waiting) > self.limits.queue:
                self._waiting = deque(m for m in self._waiting if not m[0].cancelled)
            if self._waiting and len(self._waiting) + len(waiting) > self.limits.queue:
                self.counters.refused += 1
                raise QueueFullError(1 + len(self._waiting) // self.limits.rows)
            self.counters.requests += 1
            self.counters.prompt_tokens += sum(len(c.prompt) for c in job.choices)
            self._waiting.extend(waiting)
            self._news.notify()

    def stop(self) -> None:
        """Ends the thread; what still runs is answered with an error."""
        with self._news:
            self._stopped = True
            self._news.notify()
        self._thread.join(timeout=10)

    def _run(self) -> None:
        with torch.inference_mode():
            while True:
                with self._news:
                    while not (self._stopped or self._waiting or self._batches):
                        self._news.wait()
                    if self._stopped:
                        break
                    arrived = self._admitted()
                self._tick(arrived)
        left = [*self._waiting, *(m for b in self._batches.values() for m in b.members)]
        self._fail(left, StoppedError())

    def _admitted(self) -> dict[BatchKey, list[Member]]:
        """Takes from the queue as many as there are places."""
        arrived: dict[BatchKey, list[Member]] = {}
        places = self.limits.rows - self.running
        while places > 0 and self._waiting:
            job, choice = self._waiting.popleft()
            if job.cancelled:
                self.counters.cancelled += 1
                continue
            arrived.setdefault(job.key, []).append((job, choice))
            places -= 1
        return arrived

    def _tick(self, arrived: dict[BatchKey, list[Member]]) -> None:
        """One more token of everything."""
        awake: dict[Job, None] = {}
        for key in {**self._batches, **arrived}:
            new = arrived.get(key, [])
            batch = self._batches.get(key)
            members = [*(batch.members if batch is not None else ()), *new]
            try:
                if batch is None:
                    batch = self._batches[key] = Batch(*key)
                self.counters.generated += sum(not choice.unread for _, choice in batch.members)
                for job, choice, piece in batch.tick(self.now(), new):
                    if job.put(piece):
                        awake[job] = None
                    if piece.finish is not None and choice.next is not None:
                        with self._news:
                            self._waiting.appendleft((job, choice.next))
                if not batch.members:
                    del self._batches[key]
            except Exception:  # of one model: the others go on
                logger.exception("generation failed")
                self._batches.pop(key, None)
                self._fail(members, FailedError())
        self.counters.ticks += 1
        _wake(awake)
        if awake or self.running > 1:
            for loop in {job.loop for batch in self._batches.values() for job, _ in batch.members}:
                _hand_over(loop)

    def _fail(self, members: Sequence[Member], error: BaseException) -> None:
        jobs = {job: None for job, _ in members}
        for job in jobs:
            job.error, job.cancelled = error, True
        _wake(jobs)


def _follows(job: Job, choice: Choice) -> bool:
    """Whether it is another choice's turn to draw from their generator first."""
    return any(other.next is choice for other in job.choices)


def _hand_over(loop: asyncio.AbstractEventLoop) -> None:
    """Waits until an event loop has done what it has to do at the moment.

    Python runs one thread at a time, and a thread that computes takes its turn back so quickly that the
    event loop would wait for milliseconds at each call into the system: requests would trickle in one
    by one and never meet in a batch.
    """
    done = threading.Event()

    def again(turns: int) -> None:
        if turns:
            loop.call_soon(again, turns - 1)
        else:
            done.set()

    try:
        loop.call_soon_threadsafe(again, TURNS)
    except RuntimeError:  # it is closed
        return
    done.wait(LONGEST_TURN)


def _wake(jobs: dict[Job, None]) -> None:
    """Wakes the clients of jobs, with one call for each event loop."""
    loops: dict[asyncio.AbstractEventLoop, list[Job]] = {}
    for job in jobs:
        loops.setdefault(job.loop, []).append(job)
    for loop, woken in loops.items():

        def wake(woken: list[Job] = woken) -> None:
            for job in woken:
                job.wake()

        try:
            loop.call_soon_threadsafe(wake)
        except RuntimeError:  # the loop is closed: nobody waits
            logger.debug("an event loop closed before its requests ended")
