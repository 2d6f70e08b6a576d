"""The README's commands, run in their order, with few steps."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

import hornbook
from hornbook.cli.main import main

README = Path(__file__).parent.parent / "README.md"
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
COMMANDS = [
    line
    for language, block in BLOCKS
    if language == "sh"
    for line in block.splitlines()
    if line.startswith("hornbook ")
]
FEW = ["--training.eval_count", "1", "--training.sample-count", "0"]


def test_the_tour_works_as_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "README.md").write_bytes(README.read_bytes())
    assert len(COMMANDS) > 12
    for command in COMMANDS:
        _, verb, *rest = shlex.split(command)
        if verb in ("train", "sweep"):
            steps = "4" if "--resume" in rest else "3"
            if "--steps" in rest:
                rest[rest.index("--steps") + 1] = steps
            elif "--minutes" not in rest:
                rest += ["--steps", steps]
            rest += [] if "--resume" in rest else FEW
        if "--minutes" in rest:
            rest[rest.index("--minutes") + 1] = "0.15"
        if verb == "ladder":
            rest += ["--training.steps", "2", *FEW]
        if verb == "lr-find":
            rest += ["--sweep-steps", "20"]
        code = main([verb, *rest])
        captured = capsys.readouterr()
        assert code == 0, f"{command}\n{captured.err}"
        assert captured.out.strip(), command


def test_the_python_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (program,) = [block for language, block in BLOCKS if language == "python"]
    exec(program.replace("steps=300", "steps=3"), {})
    assert (tmp_path / "runs" / "names-gpt" / "report.json").exists()


def test_the_public_names_are_there() -> None:
    for name in hornbook.__all__:
        assert getattr(hornbook, name) is not None
    with pytest.raises(AttributeError):
        _ = hornbook.nothing
