"""`hornbook`: its help, its exit codes, and streams that cannot be written."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import redirect_stdout
from io import StringIO

import pytest

from hornbook.cli import OTHER_VERBS, VERBS
from hornbook.cli.main import main
from tests.cli.common import Cap, run
from tests.parallel.helpers import environment


def test_help_names_every_verb_and_each_has_its_own(capsys: Cap) -> None:
    code, out, _ = run(capsys, "--help")
    assert code == 0
    for verb, line in VERBS.items():
        assert verb in out
        assert line in out
        with pytest.raises(SystemExit) as stop:
            main([verb, "--help"])
        assert stop.value.code == 0
        assert f"usage: hornbook {verb}" in capsys.readouterr().out


def test_help_of_a_verb_in_either_order(capsys: Cap) -> None:
    shown = []
    for words in (["help", "eval"], ["eval", "--help"]):
        with pytest.raises(SystemExit):
            main(words)
        shown.append(capsys.readouterr().out)
    assert shown[0] == shown[1]


def test_version(capsys: Cap) -> None:
    import hornbook

    assert run(capsys, "--version")[1] == f"hornbook {hornbook.__version__}\n"


@pytest.mark.parametrize(
    ("folder", "remedy"), [("/nowhere/cache", "TORCHINDUCTOR_CACHE_DIR names it: give"), ("", "")]
)
def test_a_folder_named_by_the_environment_that_cannot_be_used(
    folder: str, remedy: str, capsys: Cap, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> int:
        raise FileNotFoundError(2, "No such file or directory", "/nowhere/cache/torch")

    monkeypatch.setattr("hornbook.cli.models.run", fails)
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", folder)
    code, _, err = run(capsys, "models")
    assert code == 1
    assert "/nowhere/cache/torch cannot be used (No such file or directory)" in err
    assert remedy in err
    assert ("TORCHINDUCTOR" in err) == bool(remedy)


@pytest.mark.skipif(os.name == "nt", reason="closes descriptors as a shell does")
@pytest.mark.parametrize("descriptor", [1, 2])
def test_closed_streams_are_no_error(descriptor: int) -> None:
    command = [sys.executable, "-m", "hornbook", "--version"]
    done = subprocess.run(command, preexec_fn=lambda: os.close(descriptor), check=False)
    assert done.returncode == 0


def test_a_verb_of_another_tool_is_answered_with_the_one_here(capsys: Cap) -> None:
    assert "did you mean 'sample'?" in run(capsys, "generate")[2]
    assert "did you mean 'train'?" in run(capsys, "trian")[2]
    assert "did you mean" not in run(capsys, "xyzzy")[2]
    assert set(OTHER_VERBS.values()) <= set(VERBS)
    assert not set(OTHER_VERBS) & set(VERBS)


@pytest.mark.parametrize(("rank", "local", "waits"), [(0, 0, False), (2, 0, False), (1, 1, True)])
def test_an_error_before_ranks_meet_is_said_once_on_each_machine(
    rank: int, local: int, waits: bool, capsys: Cap, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its first rank; torchrun ends the others while they wait."""
    slept: list[float] = []
    monkeypatch.setattr("hornbook.cli.main.time.sleep", slept.append)
    for name, value in {**environment(rank, 4, 1), "LOCAL_RANK": str(local)}.items():
        monkeypatch.setenv(name, value)
    with redirect_stdout(StringIO()):
        code = main(["tarin"])
        sys.stdout.close()  # what a rank that is not the first prints to
    err = capsys.readouterr().err
    assert code == 2
    assert err.startswith(
        "hornbook: tarin: " if not rank else f"hornbook: rank {rank} of 4: tarin: "
    )
    assert bool(slept) == waits


def test_a_rank_that_is_no_number_is_refused(capsys: Cap, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**environment(0, 2, 1), "RANK": "x"}.items():
        monkeypatch.setenv(name, value)
    assert run(capsys, "models")[::2] == (
        2, "hornbook: RANK: found 'x' in the environment, expected a number\n"
    )  # fmt: skip


def test_the_collector_does_not_walk_through_everything_once_more_at_the_end() -> None:
    program = (
        "import atexit, gc\n"
        "atexit.register(lambda: print(gc.get_freeze_count() > 0))\n"
        "import hornbook.cli.main\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert found.stdout == "True\n"
