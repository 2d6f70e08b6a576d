"""What torchrun says of this process, by the environment. Standard library only."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path

from hornbook.errors import ConfigError
from hornbook.machine import command_line, host

REQUIRED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
LAST_WORDS = 3.0  # seconds that a rank has to say why it ended


@dataclass(frozen=True)
class Launch:
    """This process among those that were started together.

    rank: of `world_size` processes. local_rank: of the `local_world_size` processes on this machine.
    run_id: what tells this launch, with all its restarts, from others. restarts: how often its
    processes were started again. agent_store: whether torchrun itself keeps the store.
    """

    rank: int
    world_size: int
    local_rank: int
    local_world_size: int
    address: str
    port: int
    run_id: str = ""
    restarts: int = 0
    agent_store: bool = False
    machines: int = 1

    @property
    def name(self) -> str:
        """`rank 1 of 4`."""
        return f"rank {self.rank} of {self.world_size}"

    @cached_property
    def is_first(self) -> bool:
        """Whether this is rank 0, which alone writes and speaks."""
        return self.rank == 0


def alone(what: str) -> None:
    """Raises ConfigError where several processes were started for what one alone does."""
    launch = find_launch()
    if launch is not None and launch.world_size > 1:
        raise ConfigError(
            f"{what} trains one run after another in one process: found {launch.world_size} processes; "
            "start it without torchrun"
        )


def speaks() -> bool:
    """Whether this process is the only one, or the first of those that torchrun has started."""
    launch = find_launch()
    return launch is None or launch.is_first


def tell_torchrun(message: str) -> None:
    """Has torchrun, where it says which process failed first, say why. Nothing else is changed."""
    if path := os.environ.get("TORCHELASTIC_ERROR_FILE"):
        said = {"message": message, "extraInfo": {"timestamp": str(int(time.time()))}}
        with suppress(OSError):
            Path(path).write_text(json.dumps({"message": said}), "utf-8")


def everywhere() -> str:
    """` on each machine`, where there are several."""
    launch = find_launch()
    return " on each machine" if launch is not None and launch.machines > 1 else ""


def find_launch(environment: Mapping[str, str] | None = None) -> Launch | None:
    """The launch that this process is part of; None where it was started by itself.

    Raises ConfigError where a variable is no number.
    """
    environment = os.environ if environment is None else environment
    if not all(environment.get(name) for name in REQUIRED):
        return None

    def number(name: str, default: int) -> int:
        value = environment.get(name, str(default))
        if not value.isdecimal():
            raise ConfigError(f"{name}: found {value!r} in the environment, expected a number")
        return int(value)

    world_size = number("WORLD_SIZE", 1)
    rank = number("RANK", 0)
    if rank >= world_size:
        raise ConfigError(
            f"RANK: found {rank} in the environment, expected a number below WORLD_SIZE ({world_size})"
        )
    run_id = environment.get("TORCHELASTIC_RUN_ID", "none")
    if run_id == "none":  # torchrun was given none: its own process, which lives as long
        run_id = f"{host()}:{os.getppid()}"
    return Launch(
        rank=rank,
        world_size=world_size,
        local_rank=number("LOCAL_RANK", rank),
        local_world_size=number("LOCAL_WORLD_SIZE", world_size),
        address=environment["MASTER_ADDR"],
        port=number("MASTER_PORT", 0),
        run_id=run_id,
        restarts=number("TORCHELASTIC_RESTART_COUNT", 0),
        agent_store=environment.get("TORCHELASTIC_USE_AGENT_STORE") == "True",
        machines=number("GROUP_WORLD_SIZE", 1),
    )


def typed_command(words: Sequence[str] | None = None) -> tuple[list[str], list[str]] | None:
    """The command by which torchrun was started: its own words, up to `-m`, and those of hornbook after
    that. None where the system does not tell it, or torchrun starts another program.

    words: the command line of the process that started this one.

    >>> typed_command(["python", "bin/torchrun", "--nnodes", "2", "-m", "hornbook", "train"])
    (['torchrun', '--nnodes', '2', '-m'], ['hornbook', 'train'])
    """
    words = command_line(os.getppid()) if words is None else list(words)
    pairs = enumerate(pairwise(words), 1)
    at = next((i for i, two in pairs if two == ("-m", "hornbook")), None)
    if at is None:
        return None
    before, after = words[:at], words[at:]
    if before[1:3] == ["-m", "torch.distributed.run"]:
        return ["torchrun", *before[3:]], after
    names = [Path(word).name for word in before[:2]]
    if "torchrun" in names:
        return ["torchrun", *before[names.index("torchrun") + 1 :]], after
    return None


def torchrun_words(launch: Launch) -> list[str]:
    """How torchrun is started for so many processes, up to `-m`: as it was typed or, where that is not
    known, in its shortest form."""
    if (typed := typed_command()) is not None:
        return typed[0]
    if launch.machines == 1:
        return ["torchrun", "--standalone", "--nproc-per-node", str(launch.world_size), "-m"]
    nodes = ["--nnodes", str(launch.machines), "--nproc-per-node", str(launch.local_world_size)]
    where = ["--rdzv-backend", "c10d", "--rdzv-endpoint", launch.address]
    return ["torchrun", *nodes, *where, "-m"]
