"""The command lines that messages print."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from hornbook.errors import for_terminal
from hornbook.models.registry import parse_run_config
from hornbook.runs.commands import (
    counts_command,
    mix_command,
    resume_command,
    run_command,
    same_command,
    text_to_type,
)
from tests.parallel.helpers import environment


def test_a_command_is_read_back_by_a_shell_as_it_was_meant() -> None:
    path = Path("runs/it's mine; rm -rf $HOME")
    words = shlex.split(resume_command(path, "--steps 400"))
    assert words == ["hornbook", "train", "--resume", str(path), "--steps", "400"]


def test_a_run_of_several_processes_is_resumed_by_as_many(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment(0, 2, 29500).items():
        monkeypatch.setenv(name, value)
    plain = "hornbook train --resume runs/a"
    assert resume_command("runs/a") == plain  # in a program that calls hornbook.resume
    with for_terminal():
        begun = f"torchrun --standalone --nproc-per-node 2 -m {plain}"
        assert resume_command("runs/a", "--steps 9") == f"{begun} --steps 9"
        assert same_command("runs/a") == begun  # how torchrun was started is not known
        typed = (["torchrun", "-m"], ["hornbook", "train", "my text"])
        monkeypatch.setattr("hornbook.runs.commands.typed_command", lambda: typed)
        assert same_command("runs/a") == "torchrun -m hornbook train 'my text' --out runs/a"
        typed[1].append("--out=runs/a")
        assert same_command("runs/a") == "torchrun -m hornbook train 'my text' --out=runs/a"


def test_a_run_is_mixed_with_counts_as_it_was_meant() -> None:
    path = Path("runs/it's mine")
    words = shlex.split(mix_command(path, 6, [0.15, 0.85]))
    assert words == [
        "hornbook", "mix", str(path), "--counts", "6", "--weights", "0.15,0.85",
        "--out", f"{path}-mixture",
    ]  # fmt: skip


def test_the_text_of_a_run_is_counted_as_it_was_read() -> None:
    plain = {"data": {"corpus": "my text.txt"}, "model": {"name": "bigram"}}
    words = shlex.split(counts_command(parse_run_config(plain), 6))
    assert words == ["hornbook", "train", "my text.txt", "--model", "ngram", "--model.order", "6"]
    data = {**plain["data"], "kind": "stream", "split_seed": 3}
    other = {**plain, "data": data, "tokenizer": {"kind": "byte"}}
    words = shlex.split(counts_command(parse_run_config(other), 6))
    assert words[7:] == [
        "--data.kind",
        "stream",
        "--data.split-seed",
        "3",
        "--tokenizer.kind",
        "byte",
    ]


def test_a_path_is_no_option() -> None:
    words = shlex.split(resume_command("-run"))
    assert words == ["hornbook", "train", "--resume", "./-run"]
    words = shlex.split(run_command("score", "--out", "l'été !", "--tokens"))
    assert words == ["hornbook", "score", "./--out", "l'été !", "--tokens"]


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_a_name_that_is_not_utf_8_is_read_back_by_a_shell() -> None:
    name = os.fsdecode(b"caf\xe9 it's \\ $HOME")
    command = run_command("show", name)
    printed = subprocess.run(
        ["bash", "-c", command.replace("hornbook", "printf %s%s", 1)], capture_output=True
    )
    assert printed.stdout == b"show" + os.fsencode(name)
    assert command.isascii()


def test_a_text_can_be_typed_in_the_encoding_of_the_terminal() -> None:
    assert text_to_type(["zoë 李白", "ana"], "ascii") == "zo"
    assert text_to_type(["李白", "zoë"], "cp1252") == "zoë"
    assert text_to_type(["李白"], "ascii") is None
    assert text_to_type(["李白"], "gb18030") == "李白"


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["emma", "olivia"], "emma"),
        (["", "olivia"], "olivia"),
        (["0\trød\ta"], "rød"),
        (["--steps"], "steps"),
        (["one\n a longer line \nthree"], "a longer line"),
        (["👩‍💻👩‍💻"], "👩‍💻👩‍💻"),
        (["x" * 100], "x" * 40),
        (["\t\x1b\n", "", " "], None),
        ([], None),
    ],
)
def test_a_text_that_can_be_typed(texts: list[str], expected: str | None) -> None:
    assert text_to_type(texts) == expected
