"""The command lines that messages print."""

from __future__ import annotations

import shlex
from pathlib import Path

from hornbook.runs.commands import resume_command


def test_a_command_is_read_back_by_a_shell_as_it_was_meant() -> None:
    path = Path("runs/it's mine; rm -rf $HOME")
    words = shlex.split(resume_command(path, "--steps 400"))
    assert words == ["hornbook", "train", "--resume", str(path), "--steps", "400"]
