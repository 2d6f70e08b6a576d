"""What torchrun says of a process."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure

from hornbook.cli.main import main
from hornbook.errors import ConfigError
from hornbook.machine import host
from hornbook.parallel.launch import everywhere, find_launch, torchrun_words, typed_command
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


def test_the_command_of_torchrun_is_given_again_as_it_was_typed() -> None:
    own = ["--rdzv-id", "hornbook", "--nproc-per-node=2", "-m"]
    trained = ["hornbook", "train", "my text.txt", "-m", "hornbook"]
    for begin in (["/bin/python3", "/bin/torchrun"], ["python", "-m", "torch.distributed.run"]):
        assert typed_command([*begin, *own, *trained]) == (["torchrun", *own], trained)
    assert typed_command(["python", "/bin/torchrun", *own[:-1], "script.py"]) is None
    assert typed_command(["python", "-m", "hornbook", "train"]) is None  # another launcher
    assert typed_command([]) is None


def test_a_command_that_is_not_known_is_given_in_its_shortest_form(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    variables = environment(0, 4, 29500)
    launch = find_launch(variables)
    assert launch is not None
    assert torchrun_words(launch) == ["torchrun", "--standalone", "--nproc-per-node", "4", "-m"]
    variables |= {"LOCAL_WORLD_SIZE": "2", "GROUP_WORLD_SIZE": "2"}
    launch = find_launch(variables)
    assert launch is not None
    assert torchrun_words(launch)[1:5] == ["--nnodes", "2", "--nproc-per-node", "2"]
    assert everywhere() == ""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert everywhere() == " on each machine"


def test_torchrun_says_why_a_process_has_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In place of a hint at tracebacks, whose message would come after ours."""
    file = tmp_path / "error.json"
    for name, value in {**environment(0, 2, 29500), "TORCHELASTIC_ERROR_FILE": str(file)}.items():
        monkeypatch.setenv(name, value)
    assert main(["trian"]) == 2
    message = capsys.readouterr().err.removeprefix("hornbook: ").strip()
    report = str(ChildFailedError("hornbook", {0: ProcessFailure(0, 1, 2, str(file))}))
    assert f"traceback : {message}" in report
    monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(tmp_path / "no" / "error.json"))
    assert main(["trian"]) == 2  # where that cannot be written
