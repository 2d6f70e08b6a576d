"""A job hands its pieces from one thread to the event loop of its client."""

from __future__ import annotations

import asyncio
import threading

import pytest

from hornbook.serve.choice import Choice, Options, Piece
from hornbook.serve.job import Job
from hornbook.tokenizers import build_tokenizer
from tests.conftest import tiny_model

TOKENIZER = build_tokenizer("char", "abc", documents=True)


def job_of(n: int, *, stream: bool) -> Job:
    choices = [Choice(i, [0], TOKENIZER, Options(), stream=stream) for i in range(n)]
    return Job(tiny_model("bigram"), "half", choices, stream=stream)


def test_pieces_arrive_in_order_and_end_after_the_last_choice() -> None:
    async def read() -> list[Piece]:
        job = job_of(2, stream=True)
        sent = [Piece(i % 2, "a", (), "stop" if i >= 8 else None) for i in range(10)]

        def generate() -> None:
            for piece in sent:
                assert job.put(piece)
                job.loop.call_soon_threadsafe(job.wake)

        thread = threading.Thread(target=generate)
        thread.start()
        found: list[Piece] = []
        while pieces := await job.news():
            found += pieces
        thread.join()
        assert found == sent
        return found

    assert len(asyncio.run(asyncio.wait_for(read(), 30))) == 10


def test_one_that_is_not_streamed_is_woken_at_its_end() -> None:
    async def read() -> None:
        job = job_of(2, stream=False)
        assert not job.put(Piece(0, "a", (), "stop"))
        waiting = asyncio.ensure_future(job.news())
        await asyncio.sleep(0)
        assert not waiting.done()
        assert job.put(Piece(1, "b", (), "stop"))
        job.wake()
        assert await waiting == []

    asyncio.run(asyncio.wait_for(read(), 30))


def test_what_went_wrong_is_raised() -> None:
    async def read() -> None:
        job = job_of(1, stream=True)
        job.error = ZeroDivisionError()
        job.wake()
        with pytest.raises(ZeroDivisionError):
            await job.news()

    asyncio.run(asyncio.wait_for(read(), 30))
