"""Docstrings as hornbook writes them, made into reStructuredText for autodoc.

A line `name: text` about an argument becomes a field of the argument, with the indented lines below it; an
indented block after an empty line is code.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Collection
from typing import Any

from sphinx.application import Sphinx

ARGUMENTS = re.compile(r"(\w+(?:, \w+)*): (.*)")


def convert(lines: list[str], arguments: Collection[str]) -> list[str]:
    """The lines of a docstring as reStructuredText."""
    text: list[str] = []
    fields: list[str] = []
    after: list[str] = []  # sentences behind the arguments
    into = text
    for line in lines:
        found = ARGUMENTS.fullmatch(line)
        if found and set(names := found[1].split(", ")) <= set(arguments):
            into = fields
            fields += [f":param {name}: see below" for name in names[:-1]]
            fields.append(f":param {names[-1]}: {found[2]}")
            continue
        if into is not text and line and not line.startswith(" "):
            into = after
        if line.startswith("    ") and into is text and text and not text[-1]:
            previous = next((old for old in reversed(text) if old), "")
            if previous and not previous.startswith((" ", "::")):
                into += ["::", ""]
        into.append(line)
    return [*text, "", *after, "", *fields, ""]


def _arguments(value: Any) -> Collection[str]:
    try:
        return inspect.signature(value).parameters
    except (TypeError, ValueError):
        return ()


def _process(
    app: Sphinx, what: str, name: str, value: Any, options: Any, lines: list[str]
) -> None:
    lines[:] = convert(lines, _arguments(value))


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", _process)
    return {"parallel_read_safe": True}
