"""Ranks as processes that are forked from one which has imported everything: that takes seconds."""

from __future__ import annotations

import multiprocessing
import os
import socket
import traceback
from collections.abc import Callable
from typing import Any, NamedTuple

WAIT = 300.0  # seconds for all ranks; none of the tests takes nearly as long


class Failure(NamedTuple):
    """An exception that ended a rank. said: whether another rank prints it."""

    kind: str
    message: str
    said: bool | None


def free_port() -> int:
    """A port of this machine that nobody listens at."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def environment(rank: int, world_size: int, port: int) -> dict[str, str]:
    """What torchrun says to a process."""
    return {
        "RANK": str(rank),
        "WORLD_SIZE": str(world_size),
        "LOCAL_RANK": str(rank),
        "LOCAL_WORLD_SIZE": str(world_size),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "TORCHELASTIC_RUN_ID": f"test-{port}",
    }


def on_ranks(world_size: int, work: Callable[..., Any], *arguments: Any) -> list[Any]:
    """What `work(*arguments)` returns on each of so many ranks, or how it failed."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.parallel.imported"])
    port, pipes, processes = free_port(), [], []
    for rank in range(world_size):
        here, there = context.Pipe()
        variables = {**environment(rank, world_size, port), "HORNBOOK_CACHE": _cache()}
        process = context.Process(target=_run, args=(there, variables, work, arguments))
        process.start()
        there.close()
        pipes.append(here)
        processes.append(process)
    results: list[Any] = []
    try:
        for rank, pipe in enumerate(pipes):
            assert pipe.poll(WAIT), f"rank {rank} does not end"
            try:
                results.append(pipe.recv())
            except EOFError:
                results.append(None)  # it was killed
    finally:
        for process in processes:
            process.join(5)
            process.kill()
    return results


def _cache() -> str:
    return os.environ["HORNBOOK_CACHE"]


def _run(
    pipe: Any, variables: dict[str, str], work: Callable[..., Any], arguments: tuple[Any, ...]
) -> None:
    os.environ.update(variables)
    try:
        result = work(*arguments)
    except BaseException as error:
        traceback.print_exc()
        result = Failure(type(error).__name__, str(error), getattr(error, "said", None))
    pipe.send(result)
