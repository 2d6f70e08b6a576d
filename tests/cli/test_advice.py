"""No message advises an option that there is not: every option named in the source is one of a verb."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import hornbook
from hornbook.cli import VERBS
from tests.cli.common import parser_of

ROOT = Path(hornbook.__file__).parent
FLAG = re.compile(r"(?<![-\w])--[a-z][-.\w]*")
COMMAND = re.compile(r"hornbook ([-a-z]+)([^\n;)]*)")
TORCHRUN = {"--nproc-per-node", "--nnodes", "--standalone", "--rdzv-backend", "--rdzv-endpoint"}
OF_NO_VERB = {"--version", *TORCHRUN}


# options of a browser and of Node, which are started
OF_OTHER_PROGRAMS = ("export/browser.py", "export/html.py")


def strings(path: Path) -> Iterator[str]:
    """The texts of a file that may be printed: all but docstrings, joined where an f-string is."""
    tree = ast.parse(path.read_text("utf-8"))
    commands = {
        id(part): f"hornbook {node.args[0].value} {part.value}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "run_command"
        if isinstance(node.args[0], ast.Constant)
        for part in ast.walk(node)
        if isinstance(part, ast.Constant)
    }  # of `run_command(verb, run, "--flag")` and of a list in it
    inner = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
        for part in node.values
    }
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body and isinstance(node.body[0], ast.Expr)
    }  # fmt: skip
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(p.value if isinstance(p, ast.Constant) else "X" for p in node.values)  # type: ignore[misc]
        elif isinstance(node, ast.Constant) and id(node) not in inner | docstrings:
            yield from [commands.get(id(node), node.value)] if isinstance(node.value, str) else []


FILES = [
    path for path in sorted(ROOT.rglob("*.py"))
    if path.parent.name not in ("figures", "autograd") and "styl" not in path.name
    if path.relative_to(ROOT).as_posix() not in OF_OTHER_PROGRAMS
]  # fmt: skip
NAMED = [
    (path, text)
    for path in FILES
    for text in strings(path)
    if FLAG.search(text) and "var(--" not in text
]


@pytest.mark.parametrize(
    ("path", "text"), NAMED, ids=[f"{p.relative_to(ROOT)}: {t[:40]!r}" for p, t in NAMED]
)
def test_a_text_names_only_options_that_its_verb_has(path: Path, text: str) -> None:
    """A text of cli/VERB.py means that verb, or the one whose command it prints; others mean any."""
    verb = path.stem.replace("_", "-")
    own = verb if path.parent.name == "cli" and verb in VERBS else None
    for other, words in COMMAND.findall(text):
        if other in VERBS:
            for flag in FLAG.findall(words):
                assert parser_of(other).has(flag.rstrip(".")), f"hornbook {other} has no {flag}"
    for flag in set(FLAG.findall(COMMAND.sub("", text))) - OF_NO_VERB:
        flag = flag.rstrip(".")
        assert any(parser_of(v).has(flag) for v in ([own] if own else VERBS)), f"{own}: {flag}"
