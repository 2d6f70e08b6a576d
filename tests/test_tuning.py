"""Constants that were fitted to a machine say to which, are used, and name a benchmark that exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import hornbook

ROOT = Path(hornbook.__file__).parent
BENCHMARKS = ROOT.parent.parent / "benchmarks"
FILES = sorted(ROOT.rglob("tuning.py"))
SOURCES = {path: path.read_text("utf-8") for path in ROOT.rglob("*.py")}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.parent.name)
def test_a_page_of_constants_says_where_they_come_from(path: Path) -> None:
    tree = ast.parse(SOURCES[path])
    assert "cores" in (ast.get_docstring(tree) or "")
    for name in re.findall(r"benchmarks/(\w+\.py)", SOURCES[path]):
        assert (BENCHMARKS / name).exists(), name


def test_what_was_fitted_to_a_machine_is_on_no_other_page() -> None:
    cores = re.compile(r"#.*\b(cores|EPYC|Xeon)\b")
    assert not [path for path, text in SOURCES.items() if path not in FILES and cores.search(text)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.parent.name)
def test_every_constant_is_used(path: Path) -> None:
    others = "\n".join(text for other, text in SOURCES.items() if other != path)
    for node in ast.parse(SOURCES[path]).body:
        if isinstance(node, ast.Assign):
            (target,) = node.targets
            assert isinstance(target, ast.Name)
            assert re.search(rf"\b{target.id}\b", others), f"{target.id} is used nowhere"
