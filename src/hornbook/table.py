"""Results as small tables: of text where they are printed, of HTML in a notebook."""

from __future__ import annotations

import html
import sys
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from hornbook.visible import visible

MOST_ROWS = 60  # of a list that is printed
LONGEST_TEXT = 80  # characters of a text in a table

T = TypeVar("T")


def table(rows: Iterable[Sequence[str]], *, right: Sequence[int] = ()) -> str:
    """Rows as aligned columns of text; `right`: the columns aligned to the right.

    Aligned as a terminal shows them, where a Chinese character is as wide as two letters.
    """
    from rich.cells import cell_len

    rows = [[as_printed(str(word)) for word in row] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]

    def padded(i: int, word: str) -> str:
        space = " " * (widths[i] - cell_len(word))
        return space + word if i in right else word + space

    return "\n".join(
        "  ".join(padded(i, word) for i, word in enumerate(row)).rstrip() for row in rows
    )


def as_printed(text: str) -> str:
    """A text as stdout prints it, where what its encoding lacks is an escape of more columns."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def on_one_line(text: str) -> str:
    """A text as a cell of a table: on one line, its end cut off where it is long."""
    text = visible(text)
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 3] + "..."


class Tabular:
    """Base class of results that are printed as a table.

    table_rows: of text, the first one names the columns. table_notes: lines after it.
    """

    __slots__ = ()

    def table_rows(self) -> Sequence[Sequence[str]]:
        """The rows, the header first."""
        raise NotImplementedError

    def table_notes(self) -> Sequence[str]:
        """Lines below the table."""
        return ()

    def __repr__(self) -> str:
        """The table, unless a class has a form for one line."""
        return str(self)

    def __str__(self) -> str:
        rows = self.table_rows()
        numbers = [i for i in range(len(rows[0])) if all(map(_is_number, _column(rows, i)))]
        return "\n".join([table(rows, right=numbers), *self.table_notes()])

    def _repr_html_(self) -> str:
        header, *body = self.table_rows()
        lines = [f"<tr>{''.join(f'<th>{_safe(word)}</th>' for word in header)}</tr>"]
        for row in body:
            lines.append(f"<tr>{''.join(_cell(word) for word in row)}</tr>")
        notes = "".join(f"<p>{_safe(note)}</p>" for note in self.table_notes())
        return f"<table>{''.join(lines)}</table>{notes}"


class TableOf(Tabular, list[T]):
    """A list of results of one kind, printed as one table; a slice of it, too."""

    __slots__ = ()

    def __getitem__(self, index: Any) -> Any:
        found = super().__getitem__(index)
        return TableOf(found) if isinstance(index, slice) else found

    def table_rows(self) -> Sequence[Sequence[str]]:
        """The header of the first, and the rows of all."""
        if not self:
            return [["(none)"]]
        rows: list[Sequence[str]] = []
        for item in self[:MOST_ROWS]:
            assert isinstance(item, Tabular)
            header, *body = item.table_rows()
            rows += body if rows else [header, *body]
        return rows

    def table_notes(self) -> Sequence[str]:
        """How many are not displayed."""
        return [f"... and {len(self) - MOST_ROWS:,} more"] if len(self) > MOST_ROWS else ()


def _column(rows: Sequence[Sequence[str]], i: int) -> list[str]:
    return [row[i] for row in rows[1:]]


def _is_number(word: str) -> bool:
    return word[:1].isdigit() or word[:1] in "-" or word in ("NaN", "infinite", "inf")


def _safe(word: str) -> str:
    """Text as HTML; what cannot be encoded is escaped."""
    return html.escape(word.encode("utf-8", "backslashreplace").decode())


def _cell(word: str) -> str:
    side = "right" if _is_number(word) else "left"
    return f'<td style="text-align: {side}">{_safe(word)}</td>'
