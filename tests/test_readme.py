"""The README's commands in their order: with few steps, and a small GPT where several are trained."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

import hornbook
from hornbook.cli.main import main
from tests.printed import with_few_steps, with_few_steps_in_time

README = Path(__file__).parent.parent / "README.md"
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
COMMANDS = [
    line
    for language, block in BLOCKS
    if language == "sh"
    for line in block.splitlines()
    if line.startswith("hornbook ")
]
SMALLER = [
    "--model.n-embd",
    "16",
    "--model.n-hidden",
    "24",
    "--model.n-head",
    "2",
    "--model.n-kv-head",
    "2",
]


def test_the_tour_works_as_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with_few_steps_in_time(monkeypatch)
    (tmp_path / "README.md").write_bytes(README.read_bytes())
    assert len(COMMANDS) > 12
    for command in COMMANDS:
        _, verb, *rest = shlex.split(command)
        rest = with_few_steps(verb, rest)
        if verb == "sweep" or "--seeds" in rest:
            rest = [*SMALLER, *rest]
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


def test_the_chinese_readme_has_the_same_code_and_links() -> None:
    texts = [path.read_text("utf-8") for path in (README, README.with_name("README.zh.md"))]
    english, chinese = (re.findall(r"```(\w+)\n(.*?)```", text, re.DOTALL) for text in texts)
    assert chinese == english
    english, chinese = (set(re.findall(r"\]\(([^)#]+)\)", text)) for text in texts)
    assert english - {"README.zh.md"} == chinese - {"README.md"}
    english, chinese = (re.findall(r"^(#+) ", text, re.MULTILINE) for text in texts)
    assert chinese == english
