"""Markdown that is read as it was meant, in the repository and in the lessons."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

from markdown_it import MarkdownIt

from hornbook.lessons.catalog import LANGUAGES, lessons

LIST = re.compile(r"\s*(\d+\.|[-*]) ")
ROOT = Path(__file__).parents[2]


def texts() -> Iterator[tuple[str, str]]:
    """Where, and the text of each page and of each cell of prose."""
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        yield path.name, path.read_text("utf-8")
    for lesson in lessons():
        for language in LANGUAGES:
            for cell in lesson.cells(language):
                if cell.prose:
                    yield f"{lesson.name}, {language}, {cell.name}", cell.source


def test_no_line_of_a_paragraph_begins_a_list() -> None:
    """A line `1. Return it` behind another one does."""
    for where, text in texts():
        lines = text.splitlines()
        for before, line in itertools.pairwise(lines):
            inside = before and not LIST.match(before) and before[0] not in " `#|>"
            assert not (inside and re.match(r"1\. ", line)), f"{where}: {line}"


def test_what_is_to_be_bold_is_bold() -> None:
    """`**新内容：**让` is not: between `：` and a letter no `**` closes."""
    for where, text in texts():
        for block in MarkdownIt().parse(text):
            for token in block.children or ():
                assert token.type != "text" or "**" not in token.content, (
                    f"{where}: {token.content}"
                )
