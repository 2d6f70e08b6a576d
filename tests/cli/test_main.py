"""`hornbook`: its help, its exit codes, and streams that cannot be written."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from hornbook.cli import OTHER_VERBS, VERBS
from hornbook.cli.main import main
from tests.cli.common import Cap, run


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
