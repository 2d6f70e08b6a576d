"""Docstrings as hornbook writes them, made into reStructuredText for autodoc.

A line `name: text` about an argument or an attribute becomes a field, with the indented lines below it;
an indented block after an empty line is code.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from typing import Any

from sphinx.application import Sphinx

FIELD = re.compile(r"(\w+(?:, \w+)*): (.*)")


def convert(lines: list[str], kinds: Mapping[str, str]) -> list[str]:
    """The lines of a docstring as reStructuredText.

    kinds: of each name that may have a line of its own, `param` or `ivar`.
    """
    text: list[str] = []
    fields: list[str] = []
    after: list[str] = []  # sentences behind the fields
    into = text
    for line in _without_heading(lines):
        found = FIELD.fullmatch(line)
        if found and set(names := found[1].split(", ")) <= set(kinds):
            into = fields
            fields += [f":{kinds[name]} {name}: {found[2]}" for name in names]
            continue
        if into is fields and line and not line.startswith(" "):
            into = after
        before = next((old for old in reversed(into) if old), "")
        if line.startswith("    ") and into is text and not into[-1] and not before.startswith(" "):
            into += ["::", ""]
        into.append(line)
    return [*text, "", *after, "", *fields, ""]


def _without_heading(lines: list[str]) -> list[str]:
    """The lines with what is indented below `Args:` moved to the margin."""
    found: list[str] = []
    below = False
    for line in lines:
        if line == "Args:":
            below = True
            continue
        below = below and (not line or line.startswith(" "))
        found.append(line.removeprefix("    ") if below else line)
    return found


def _kinds(value: Any) -> dict[str, str]:
    kinds = {}
    for cls in getattr(value, "__mro__", ()):
        kinds |= dict.fromkeys((*vars(cls), *getattr(cls, "__annotations__", ())), "ivar")
    try:
        parameters = inspect.signature(value).parameters
    except (TypeError, ValueError):
        parameters = {}
    return kinds | dict.fromkeys(parameters, "param")


def _process(app: Sphinx, what: str, name: str, value: Any, options: Any, lines: list[str]) -> None:
    lines[:] = convert(lines, _kinds(value))


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", _process)
    return {"parallel_read_safe": True}
