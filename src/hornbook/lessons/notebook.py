"""A lesson as a Jupyter notebook (nbformat 4.5), for Jupyter, VS Code and Colab."""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path
from typing import Any

from hornbook.errors import ConfigError
from hornbook.files import write_bytes
from hornbook.lessons.catalog import LANGUAGES, Lesson
from hornbook.lessons.messages import VARIABLE
from hornbook.version import __version__

COLAB = "https://colab.research.google.com"  # which opens notebooks of a repository
_INSTALL = """\
# Installs hornbook where it is missing, as in Colab.
import importlib.util

if importlib.util.find_spec("hornbook") is None:
    %pip install -q {what}"""
_SPEAKS = """

import os

os.environ["{variable}"] = "{language}"  # what check and hint print"""


def repository() -> str | None:
    """The address of the source on GitHub, from the package's metadata; None where it has none."""
    for entry in metadata.metadata("hornbook").get_all("Project-URL") or []:
        label, _, address = str(entry).partition(", ")
        if label == "Repository":
            return address.rstrip("/")
    return None


def install_cell(language: str = LANGUAGES[0]) -> str:
    """The code of the first cell: installs hornbook where a notebook runs without it, and says in which
    language checks speak where it is another than English.

    Installs from the repository that the package names; else from a wheel that is uploaded beside the
    notebook.
    """
    address = repository()
    wheel = (
        f"./hornbook-{__version__}-py3-none-any.whl  # upload it first; python -m build makes it"
    )
    return _INSTALL.format(what=f"git+{address}" if address else wheel) + speaks(language)


def speaks(language: str) -> str:
    """Code by which checks speak a language; empty for English."""
    if language == LANGUAGES[0]:
        return ""
    return _SPEAKS.format(variable=VARIABLE, language=language)


def notebook(lesson: Lesson, language: str = LANGUAGES[0]) -> dict[str, Any]:
    """A lesson as a notebook without outputs, with a first cell that installs hornbook where needed."""
    cells = [_cell("install", install_cell(language), prose=False)]
    for i, cell in enumerate(lesson.cells(language)):
        cells.append(_cell(cell.name or f"code-{i}", cell.source, prose=cell.prose))
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    facts = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return {"cells": cells, "metadata": facts, "nbformat": 4, "nbformat_minor": 5}


def notebook_name(lesson: Lesson, language: str = LANGUAGES[0]) -> str:
    """The name of a lesson's notebook; one in another language than the texts' own says which.

    >>> from hornbook.lessons.catalog import find_lesson
    >>> notebook_name(find_lesson("1"), "zh")
    '01_autograd.zh.ipynb'
    """
    return f"{lesson.name}{'' if language == LANGUAGES[0] else f'.{language}'}.ipynb"


def write_notebook(path: Path, lesson: Lesson, language: str = LANGUAGES[0]) -> None:
    """Writes a lesson as a notebook. Raises ConfigError where the file exists: somebody may have worked
    in it."""
    if path.suffix != ".ipynb":
        raise ConfigError(f"out: found {path.name!r}, expected a name that ends in .ipynb")
    if path.exists():
        raise ConfigError(f"{path} exists already; give another file (--out), or remove it")
    text = json.dumps(notebook(lesson, language), indent=1, ensure_ascii=False)
    write_bytes(path, f"{text}\n".encode())


def _cell(name: str, source: str, *, prose: bool) -> dict[str, Any]:
    cell = {"id": name[:64], "metadata": {}, "source": source.splitlines(keepends=True)}
    if prose:
        return {"cell_type": "markdown", **cell}
    return {"cell_type": "code", "execution_count": None, "outputs": [], **cell}
