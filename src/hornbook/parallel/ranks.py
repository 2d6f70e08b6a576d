"""The processes that train one model together, and what they say to each other.

torchrun starts them; a process that was started by itself is the only one, and nothing is sent. Values
are sent as JSON and tensors as they are: nothing is pickled. Whatever one process alone knows (a
measurement, a clock, a signal) is agreed on here before others act on it.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from hornbook.errors import ConfigError, HornbookError, RunError
from hornbook.parallel.launch import LAST_WORDS, Launch, find_launch

T = TypeVar("T")

TIMEOUT = "HORNBOOK_RANKS_TIMEOUT"  # seconds after which a rank that does not answer is given up
DEFAULT_TIMEOUT = 600.0
POLL = 0.02  # seconds between two looks of a rank that waits for another, and
LONGEST_POLL = 0.5  # as it waits longer
ALONE = Launch(0, 1, 0, 1, "", 0)


class LostRankError(RunError):
    """Another rank ended, or cannot be reached. said: that rank prints why."""

    def __init__(self, message: str, *, said: bool) -> None:
        super().__init__(message)
        self.said = said


class Ranks:
    """One of the processes that train together. What sends has to be called by all of them, in the
    same order; of a single process everything returns at once.

    rank, world_size: as in torch.distributed. launch: the rest that is known of them.

    Attributes:
        seconds: spent on sending and on waiting for the others, so far; of GPUs, which send by
            themselves, the time to tell them to.
    """

    def __init__(self, launch: Launch = ALONE, store: Any | None = None) -> None:
        self.launch = launch
        self.rank, self.world_size = launch.rank, launch.world_size
        self.seconds = 0.0
        self._store, self._waits = store, 0

    @property
    def is_first(self) -> bool:
        """Whether this is rank 0, which alone writes and speaks."""
        return self.launch.is_first

    @property
    def launched(self) -> bool:
        """Whether torchrun started this process, be it the only one: it may be a restart."""
        return self.launch is not ALONE

    @property
    def many(self) -> bool:
        """Whether there are others."""
        return self.world_size > 1

    @property
    def name(self) -> str:
        """`rank 1 of 4`."""
        return self.launch.name

    def __deepcopy__(self, memo: object) -> Ranks:
        return self  # of a model that is copied: its processes are the same

    def sum(self, tensor: Tensor) -> Tensor:
        """The sum over all ranks, in the tensor itself."""
        if self.many:
            with self.talking():
                dist.all_reduce(tensor)
        return tensor

    def max(self, values: Sequence[int]) -> list[int]:
        """The largest of all ranks, of each value."""
        if not self.many:
            return list(values)
        tensor = torch.tensor(values, dtype=torch.int64, device="cpu")
        with self.talking():
            dist.all_reduce(tensor, dist.ReduceOp.MAX)
        return [int(value) for value in tensor.tolist()]

    def any(self, flag: bool) -> bool:
        """Whether it is so on any rank."""
        return bool(self.max([int(flag)])[0])

    def barrier(self) -> None:
        """Waits for all ranks, however long they take."""
        if self._store is not None:
            store, key = self._store, self._next_key()
            store.add(key, 1)
            self._wait(lambda: bool(store.add(key, 0) == self.world_size))

    def broadcast(self, value: Any) -> Any:
        """The value of rank 0, on all ranks: bytes, or what JSON holds."""
        if not self.many:
            return value
        raw = isinstance(value, bytes)
        data = value if raw else json.dumps(value).encode()
        size = torch.tensor([len(data), int(raw)], dtype=torch.int64, device="cpu")
        with self.talking():
            dist.broadcast(size, 0)
        if not self.is_first:
            data = bytearray(int(size[0]))
        content = torch.frombuffer(bytearray(data) or bytearray(1), dtype=torch.uint8)
        with self.talking():
            dist.broadcast(content, 0)
        data = content.numpy().tobytes()[: int(size[0])]
        return data if size[1] else json.loads(data)

    def broadcast_tensors(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The tensors of rank 0, by their names, on all ranks; those of the others are not read."""
        if not self.many:
            return dict(tensors)
        layout = self.broadcast(
            [
                [name, list(t.shape), str(t.dtype).removeprefix("torch."), t.device.type]
                for name, t in (tensors.items() if self.is_first else ())
            ]
        )
        received: dict[str, Tensor] = {}
        for name, shape, dtype, device in layout:
            tensor = torch.empty(math.prod(shape), dtype=getattr(torch, dtype), device=device)
            if self.is_first:
                tensor.copy_(tensors[name].detach().reshape(-1))
            data = tensor.view(torch.uint8)  # whatever the dtype, also one that cannot be sent
            with self.talking():
                dist.broadcast(data, 0)
            received[name] = tensor.view(shape)
        return received

    def on_first(self, work: Callable[[], T]) -> T:
        """What rank 0 returns, bytes or what JSON holds. It alone does the work; the others wait,
        however long that takes."""
        if not self.many:
            return work()
        assert self._store is not None
        store, key = self._store, self._next_key()
        value = work() if self.is_first else None
        if self.is_first:
            store.set(key, b"done")
        self._wait(lambda: bool(store.check([key])))
        found: T = self.broadcast(value)
        return found

    def one_after_other(self, work: Callable[[], T]) -> T:
        """What the work returns on each rank: the first of each machine does it before the others,
        which find there what it has made."""
        if not self.many:
            return work()
        if self.launch.local_rank == 0:
            result = work()
        self.barrier()
        if self.launch.local_rank != 0:
            result = work()
        return result

    def share(self, items: Sequence[T]) -> Sequence[T]:
        """Those of the items that this rank takes."""
        return items[self.rank :: self.world_size]

    @contextmanager
    def talking(self) -> Iterator[None]:
        """Inside something is sent: the time is counted, and a lost rank is a LostRankError."""
        begin = time.perf_counter()
        try:
            yield
        except RuntimeError as error:
            raise self._lost(error) from None
        finally:
            self.seconds += time.perf_counter() - begin

    def _next_key(self) -> str:
        self._waits += 1
        return f"wait-{self._waits}"

    def _wait(self, over: Callable[[], bool]) -> None:
        """Waits without a time limit. It looks again and again, so that a signal ends it."""
        pause = POLL
        try:
            while not over():
                self._check_failure()
                time.sleep(pause)
                pause = min(LONGEST_POLL, 1.2 * pause)
        except RuntimeError as error:
            raise self._lost(error) from None

    def _check_failure(self) -> None:
        """Raises LostRankError where another rank has ended with an error."""
        assert self._store is not None
        if self._store.check(["failed"]):
            raise LostRankError(self._store.get("failed").decode(), said=True)

    def fail(self, message: str) -> bool:
        """Says to the others that this rank ends, and why. False where another one did before."""
        if self._store is None or not self.many:
            return True
        own = f"{self.rank}: {message}"
        try:
            return bool(self._store.compare_set("failed", "", own).decode() == own)
        except RuntimeError:  # whoever kept the store is gone
            return True

    def leave(self) -> None:
        """The end: where rank 0 keeps the store itself, it waits until the others need it no more."""
        if self._store is None or not self.many or self.launch.agent_store:
            return
        until = time.monotonic() + LAST_WORDS
        with suppress(RuntimeError):
            self._store.add("left", 1)
            while self.is_first and time.monotonic() < until:
                if self._store.add("left", 0) == self.world_size:
                    return
                time.sleep(POLL)

    def _lost(self, error: RuntimeError) -> LostRankError:
        """Another rank is gone: it may be about to say why."""
        if isinstance(error, LostRankError):
            return error
        until = time.monotonic() + LAST_WORDS
        with suppress(RuntimeError):
            while self._store is not None and time.monotonic() < until:
                if self._store.check(["failed"]):
                    return LostRankError(self._store.get("failed").decode(), said=True)
                time.sleep(POLL)
        why = str(error).strip().partition("\n")[0]
        return LostRankError(
            f"another rank ended without a word, or cannot be reached ({why[:200]}); see what was "
            "printed above, then start the same command again with --out RUN: it resumes",
            said=False,
        )


SINGLE = Ranks()


@contextmanager
def joined(device: str = "auto") -> Iterator[Ranks]:
    """The ranks of this process, by torchrun's environment; `SINGLE` where there is none.

    device: where they train: on GPUs each rank has its own. An error of one rank ends all of them, with
    one message that names the rank. Raises ConfigError where the environment is not complete, RunError
    where the others cannot be reached.
    """
    launch = find_launch()
    if launch is None:
        yield SINGLE
        return
    ranks = _join(launch, device)
    try:
        yield ranks
    except HornbookError as error:
        said = isinstance(error, LostRankError) and bool(error.said)
        if ranks.many:
            error.said = said or not ranks.fail(str(error))
            error.args = (f"{ranks.name}: {error}",)
        raise
    except Exception as error:
        ranks.fail(f"{type(error).__name__}: {error}")
        raise
    finally:
        with suppress(RuntimeError):
            dist.destroy_process_group()  # who waits for this rank finds out
        ranks.leave()


def _join(launch: Launch, device: str) -> Ranks:
    seconds = timeout_seconds()
    try:
        store = dist.TCPStore(  # type: ignore[attr-defined]
            launch.address,
            launch.port,
            launch.world_size,
            is_master=launch.is_first and not launch.agent_store,
            timeout=timedelta(seconds=seconds),
            multi_tenant=True,
        )
        prefixed = dist.PrefixStore  # type: ignore[attr-defined]
        own = prefixed(meet(store, launch, seconds), store)
        gpus = torch.cuda.is_available() and device in ("auto", "cuda")
        if gpus:
            torch.cuda.set_device(launch.local_rank % torch.cuda.device_count())
        dist.init_process_group(
            "cpu:gloo,cuda:nccl" if gpus else "gloo",
            store=prefixed("group", own),
            rank=launch.rank,
            world_size=launch.world_size,
            timeout=timedelta(seconds=seconds),
        )
    except RuntimeError as error:
        why = str(error).strip().partition("\n")[0]
        raise RunError(
            "the other ranks cannot be reached at "
            f"{launch.address}:{launch.port} ({why[:200]}); check that all were started with the same "
            "rendezvous and can reach each other (GLOO_SOCKET_IFNAME names the network)"
        ) from None
    return Ranks(launch, own)


def meet(store: Any, launch: Launch, seconds: float) -> str:
    """A name that the ranks which are there now have agreed on, and none has had before.

    After a restart the store may still be that of the processes before, and hold what these have set.
    Each rank says who it is. Rank 0 says whom it takes for the others, and says it again where another
    one turns up. When all have found themselves among these, they have met. Raises RuntimeError after
    so many seconds.
    """
    own, until = secrets.token_hex(8), time.monotonic() + seconds
    hello = [f"hello-{rank}" for rank in range(launch.world_size)]
    members, name, pause = "", "", POLL
    store.set(hello[launch.rank], own)
    while time.monotonic() < until:
        before = members
        if launch.is_first and store.check(hello):
            members = " ".join(store.get(key).decode() for key in hello)
            store.set("members", members)
        elif not launch.is_first and store.check(["members"]):
            members = store.get("members").decode()
        if members != before and own in members.split():
            name = hashlib.sha256(members.encode()).hexdigest()
            store.add(name, 1)
        if name and store.add(name, 0) == launch.world_size:
            return name
        time.sleep(pause)
        pause = min(LONGEST_POLL, 1.2 * pause)
    raise RuntimeError(f"not all of them were there after {seconds:g} seconds")


def timeout_seconds() -> float:
    """Seconds after which a rank that does not answer is given up. Raises ConfigError."""
    value = os.environ.get(TIMEOUT, str(DEFAULT_TIMEOUT))
    try:
        seconds = float(value)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 1e7:
        raise ConfigError(f"{TIMEOUT}: found {value!r} in the environment, expected seconds")
    return seconds
