"""Threads for what is not generation, and which run a request means."""

from __future__ import annotations

import asyncio
import threading

import pytest

from hornbook.api import Run

pytest.importorskip("fastapi", reason="needs the extra serve")


def test_tasks_are_bounded() -> None:
    from hornbook.serve.engine import QueueFullError
    from hornbook.serve.service import Tasks

    async def fill() -> list[object]:
        tasks, go = Tasks("test", 2), threading.Event()
        waiting = [asyncio.ensure_future(tasks.run(go.wait, 20)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(QueueFullError):
            await tasks.run(int)
        go.set()
        found = await asyncio.gather(*waiting)
        assert tasks.pending == 0
        assert await tasks.run(int, "3") == 3
        tasks.stop()
        return list(found)

    assert asyncio.run(fill()) == [True, True]


def test_a_request_without_a_model_means_the_only_one(names_run: Run, stream_run: Run) -> None:
    from hornbook.serve.engine import StoppedError
    from hornbook.serve.errors import ApiError
    from hornbook.serve.service import Service
    from hornbook.serve.shelf import Shelf

    async def ask(service: Service, model: str | None) -> str:
        return (await service.run(model))[0]

    one = Service(Shelf([names_run.path]))
    assert asyncio.run(ask(one, None)) == "names"
    one.warm_up()
    one.stop()
    with pytest.raises(StoppedError):
        asyncio.run(ask(one, None))
    two = Service(Shelf([names_run.path, stream_run.path]))
    with pytest.raises(ApiError, match="expected one of those served: names, run"):
        asyncio.run(ask(two, None))
    two.stop()
