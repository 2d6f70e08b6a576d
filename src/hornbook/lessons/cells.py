"""A lesson's text as cells: percent format (jupytext's), and the prose of another language.

# %% [markdown] name="title"     a cell of prose, with options
# # A heading                    its lines are comments
# %%                             a cell of code
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from hornbook.errors import DataError

_MARK = re.compile(r"# %%(?P<prose> \[markdown\])?(?P<options>( \w+=\"[^\"]*\")*)$")
_OPTION = re.compile(r'(\w+)="([^"]*)"')
_BLOCK = re.compile(r"^<!-- (cell|hint): (\S+) -->$", re.MULTILINE)


@dataclass(frozen=True)
class Cell:
    """A cell: Markdown where it is prose, else Python. options: those of its first line."""

    source: str
    prose: bool = False
    options: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name of a cell of prose; empty where it has none."""
        return self.options.get("name", "")


def read_cells(text: str, where: str = "text") -> list[Cell]:
    """The cells of a text in percent format.

    Raises DataError for a line that begins like a cell and is none, for text before the first cell, and
    for a line of prose that is no comment.
    """
    cells: list[tuple[re.Match[str], list[str]]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.startswith("# %%"):
            mark = _MARK.match(line)
            if mark is None:
                raise DataError(
                    f"{where}: line {number}: found {line!r}, expected '# %%' or '# %% [markdown]', "
                    'with options such as name="title"'
                )
            cells.append((mark, []))
        elif cells:
            if cells[-1][0]["prose"]:
                if line and not line.startswith("#"):
                    raise DataError(
                        f"{where}: line {number}: found {line!r} in a cell of prose, expected a "
                        "comment; begin code with a line '# %%'"
                    )
                line = line.removeprefix("#").removeprefix(" ")
            cells[-1][1].append(line)
        elif line.strip():
            raise DataError(f"{where}: line {number}: found text before the first line '# %%'")
    return [
        Cell(
            "\n".join(lines).strip("\n"),
            bool(mark["prose"]),
            dict(_OPTION.findall(mark["options"])),
        )
        for mark, lines in cells
    ]


def read_prose(text: str) -> dict[tuple[str, str], str]:
    """The blocks of a file of prose: ("cell" or "hint", its name) -> Markdown, in their order.

    >>> read_prose("<!-- cell: title -->\\n# One\\n\\n<!-- hint: 1.1 -->\\nTry it.\\n")
    {('cell', 'title'): '# One', ('hint', '1.1'): 'Try it.'}
    """
    _, *parts = _BLOCK.split(text)
    kinds, names, sources = parts[::3], parts[1::3], parts[2::3]
    found: dict[tuple[str, str], str] = {}
    for kind, name, source in zip(kinds, names, sources, strict=True):
        if (kind, name) in found:
            raise DataError(f"{kind}: {name}: found this block twice, expected it once")
        found[kind, name] = source.strip("\n")
    return found


def with_prose(cells: Iterable[Cell], prose: dict[tuple[str, str], str]) -> list[Cell]:
    """The same cells with the prose of another language. Raises DataError where a cell has none."""
    found = []
    for cell in cells:
        if cell.prose:
            if ("cell", cell.name) not in prose:
                raise DataError(f"cell {cell.name!r}: found no prose for it, expected a block")
            cell = replace(cell, source=prose["cell", cell.name])
        found.append(cell)
    return found
