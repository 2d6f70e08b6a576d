"""A lesson as a notebook; that it is one, by nbformat: test_texts.py."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hornbook.errors import ConfigError
from hornbook.lessons import notebook as module
from hornbook.lessons.catalog import lessons
from hornbook.lessons.notebook import install_cell, notebook, repository, write_notebook
from hornbook.version import __version__

LESSON = lessons()[0]


def test_a_first_cell_installs_where_hornbook_is_missing() -> None:
    first, title, *_ = notebook(LESSON)["cells"]
    assert "%pip install" in "".join(first["source"])
    assert title["source"][0].startswith("# Lesson 1: ")


def test_code_is_the_same_in_both_languages() -> None:
    cells, others = (notebook(LESSON, language)["cells"] for language in ("en", "zh"))
    speaks = 'os.environ["HORNBOOK_LANG"] = "zh"'
    assert [speaks in "".join(c[0]["source"]) for c in (cells, others)] == [False, True]
    for cell, other in zip(cells[1:], others[1:], strict=True):
        assert (cell == other) == (cell["cell_type"] == "code")


def test_no_output_and_ids_that_differ() -> None:
    cells = notebook(LESSON)["cells"]
    assert not any(cell.get("outputs") for cell in cells)
    assert len({cell["id"] for cell in cells}) == len(cells)


def test_a_notebook_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "lesson.ipynb"
    write_notebook(path, LESSON, "zh")
    before = path.read_bytes()
    assert json.loads(before)["cells"][1]["source"][0].startswith("# 第 1 课：")
    with pytest.raises(ConfigError, match="exists already"):
        write_notebook(path, LESSON)
    assert path.read_bytes() == before
    with pytest.raises(ConfigError, match=r"found 'x.py', expected a name that ends in .ipynb"):
        write_notebook(tmp_path / "x.py", LESSON)


def test_the_address_is_the_packages_own(monkeypatch: pytest.MonkeyPatch) -> None:
    address = "https://github.com/someone/hornbook"
    for known in (None, address):
        monkeypatch.setattr(module, "repository", lambda known=known: known)
        assert (f"git+{address}" in install_cell()) == (known is not None)
        assert (f"hornbook-{__version__}-py3-none-any.whl" in install_cell()) == (known is None)


def test_the_repository_is_read_from_the_metadata(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"Project-URL": ["Home, https://x", "Repository, https://github.com/a/b/"]}

    class Metadata:
        def get_all(self, name: str) -> list[str] | None:
            return found.get(name)

    monkeypatch.setattr(module.metadata, "metadata", lambda name: Metadata())
    assert repository() == "https://github.com/a/b"
    found.clear()
    assert repository() is None
