"""What torchrun says of a process."""

from __future__ import annotations

import os

import pytest

from hornbook.errors import ConfigError
from hornbook.machine import host
from hornbook.parallel.launch import find_launch
from tests.parallel.helpers import environment


def test_a_process_by_itself_is_part_of_no_launch() -> None:
    assert find_launch({}) is None
    assert find_launch({"RANK": "0", "WORLD_SIZE": "2"}) is None  # of another launcher


def test_the_variables_of_torchrun() -> None:
    launch = find_launch({**environment(1, 4, 29500), "TORCHELASTIC_RESTART_COUNT": "2"})
    assert launch is not None
    assert (launch.rank, launch.world_size, launch.local_rank, launch.port) == (1, 4, 1, 29500)
    assert (launch.run_id, launch.restarts, launch.agent_store) == ("test-29500", 2, False)
    assert not launch.is_first


def test_a_launch_without_a_name_is_known_by_its_agent() -> None:
    variables = {**environment(0, 2, 29500), "TORCHELASTIC_RUN_ID": "none"}
    launch = find_launch(variables)
    assert launch is not None
    assert launch.run_id == f"{host()}:{os.getppid()}"


@pytest.mark.parametrize(("name", "value"), [("RANK", "x"), ("RANK", "4"), ("MASTER_PORT", "-1")])
def test_variables_that_cannot_be_are_refused(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=rf"{name}: found '?{value}'?.*expected a number"):
        find_launch({**environment(0, 4, 29500), name: value})
