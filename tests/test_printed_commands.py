"""Commands and options that hornbook prints: known ones, and those of a summary work as printed."""

from __future__ import annotations

import ast
import contextlib
import io
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

import hornbook
from hornbook.cli import VERBS
from hornbook.cli.flags import flags_of
from hornbook.cli.main import main
from hornbook.config.sections import all_fields
from hornbook.models.registry import MODELS, config_class
from tests.cli.common import Cap
from tests.cli.test_advice import TORCHRUN

ROOT = Path(hornbook.__file__).parent
DOCS = [ROOT.parent.parent / "README.md", *sorted((ROOT.parent.parent / "docs").glob("*.md"))]
OLD = "logbook.md"  # names options as they were
FLAG = re.compile(r"(?<![\w-])--[a-z][\w.-]*\w")
COMMAND = re.compile(r"hornbook ([a-z-]+)((?: [^\n`();]*)?)")

TEXTS = {
    "tabs": "0\trød\ta\n1\tblå\tb\n2\tgrøn\tc\n" * 20,
    "dna": "ACGTTGCA\nGATTACA\nCCGGAATT\n" * 20,
    "han": "床前明月光\n疑是地上霜\n举头望明月\n低头思故乡\n" * 20,
    "dashes": "--steps\n-x\n--help me\n-- a\n" * 20,
    "quotes": "it's\n\"so\" 'it' is\n$HOME `ls` \\n !x\n" * 20,
    "joiners": "👩‍💻 क्‍ष\nनमस्‍ते 👩‍👩‍👧\n👩‍💻👩‍💻\n" * 20,
    "prose": "A line of prose; it's short.\n\nAnd\tanother one: 100% true.\n" * 60,
}


def strings(path: Path) -> Iterator[str]:
    """The texts that a module may print: strings, but for those of documentation; what is filled in
    is `{}`."""
    tree = ast.parse(path.read_text("utf-8"))
    documentation = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(v.value if isinstance(v, ast.Constant) else "{}" for v in node.values)  # type: ignore[misc]
        elif isinstance(node, ast.Constant) and id(node) not in documentation:
            yield node.value if isinstance(node.value, str) else ""


# options of a browser and of Node, which are started
OF_OTHER_PROGRAMS = ("export/browser.py", "export/html.py")


def printed() -> Iterator[tuple[str, str]]:
    """Where, and a text that hornbook or its documentation shows."""
    for path in sorted(ROOT.rglob("*.py")):
        if path.relative_to(ROOT).as_posix() in OF_OTHER_PROGRAMS:
            continue
        for text in strings(path):
            if "color-scheme" not in text:  # a style sheet
                yield path.name, text
    for path in DOCS:
        if path.name != OLD:
            yield path.name, path.read_text("utf-8")


@pytest.fixture(scope="module")
def flags() -> dict[str, set[str]]:
    """The options of each verb by its help, and under `train` those of all settings."""
    found = {}
    for verb in VERBS:
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
            main([verb, "--help"])
        found[verb] = set(FLAG.findall(out.getvalue()))
    settings = {
        flag
        for model in MODELS
        for section, name, _ in all_fields(config_class(model))
        for flag in flags_of(f"{section}.{name}")
    }
    for verb in ("train", "ladder", "lr-find", "sweep"):
        found[verb] |= settings
    return found


def test_every_option_that_is_printed_exists(flags: dict[str, set[str]]) -> None:
    known = set().union(*flags.values()) | {"--version", "--help", *TORCHRUN}
    for where, text in printed():
        if not where.endswith(".md"):  # the documentation names options of other programs, too
            for flag in FLAG.findall(text):
                assert flag.replace("_", "-") in known, f"{where}: {flag}"


def test_every_command_that_is_printed_exists(flags: dict[str, set[str]]) -> None:
    n = 0
    for where, text in printed():
        for verb, rest in COMMAND.findall(text):
            if verb not in VERBS:
                continue
            n += 1
            for flag in FLAG.findall(rest.partition("#")[0]):
                assert flag.replace("_", "-") in flags[verb], f"{where}: hornbook {verb} {flag}"
    assert n > 40


@pytest.mark.parametrize("name", TEXTS)
def test_the_commands_of_a_summary_work_as_printed(
    name: str, tmp_path: Path, capsys: Cap, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a text.txt").write_text(TEXTS[name], "utf-8")
    words = ["train", "a text.txt", "--model", "ngram", "--model.order", "4"]
    assert main([*words, "--out", "runs/it's mine"]) == 0
    lines = capsys.readouterr().out.splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("next"))
    commands = [line[line.index("hornbook") :] for line in lines[first:]]
    verbs = [shlex.split(command)[1] for command in commands]
    assert verbs[:4] == ["sample", "score", "eval", "show"]
    assert verbs[4:] in ([], ["train"])  # better counts
    for command in commands:
        program, *rest = shlex.split(command)
        assert program == "hornbook"
        assert main(rest) == 0, command
        assert capsys.readouterr().out.strip(), command


def test_a_text_that_cannot_be_typed_is_not_proposed(tmp_path: Path, capsys: Cap) -> None:
    path = tmp_path / "tabs.txt"
    path.write_text("\t\x01\t\n\x01\x01\n\t\n" * 30)
    assert main(["train", str(path), "--model", "ngram", "--out", str(tmp_path / "run")]) == 0
    assert "hornbook score" not in capsys.readouterr().out
