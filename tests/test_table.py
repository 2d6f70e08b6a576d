"""Results as tables, of text and of HTML."""

from __future__ import annotations

import io
import sys
from dataclasses import dataclass

import pytest

from hornbook.table import MOST_ROWS, TableOf, Tabular, on_one_line, table


@dataclass(frozen=True, repr=False)
class Row(Tabular):
    """A result with a number and a word."""

    loss: float
    word: str

    def table_rows(self) -> list[list[str]]:
        return [["loss", "word"], [f"{self.loss:.1f}", self.word]]


def test_columns_are_aligned_and_numbers_are_to_the_right() -> None:
    assert table([("a", "bcd"), ("ab", "c")], right=(1,)) == "a   bcd\nab    c"
    assert repr(Row(2.5, "<b>")) == "loss  word\n 2.5  <b>"


def test_a_chinese_character_is_two_columns_wide() -> None:
    assert table([("\u767d", "1"), ("abc", "2")]) == "\u767d   1\nabc  2"


def test_columns_stay_aligned_where_the_terminal_lacks_a_character(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="cp1252", errors="backslashreplace")
    monkeypatch.setattr(sys, "stdout", terminal)
    lines = table([("\u767d", "1"), ("\xe9", "2")]).splitlines()
    assert lines == ["\\u767d  1", "\xe9       2"]


def test_a_list_is_one_table_and_still_a_list() -> None:
    rows = TableOf([Row(2.5, "emma"), Row(10.0, "a")])
    assert repr(rows) == "loss  word\n 2.5  emma\n10.0  a"
    assert rows == [Row(2.5, "emma"), Row(10.0, "a")]
    assert rows[1].word == "a"
    assert repr(TableOf[Row]()) == "(none)"
    long = TableOf([Row(1.0, "a")] * (MOST_ROWS + 1000))
    assert repr(long).count("\n") == MOST_ROWS + 1
    assert repr(long).endswith("... and 1,000 more")


def test_a_text_is_on_one_line_and_not_too_long() -> None:
    assert on_one_line("a\nb") == "a\\nb"
    assert on_one_line("x" * 500) == "x" * 77 + "..."


def test_html_is_escaped_and_can_be_encoded() -> None:
    html = TableOf([Row(2.5, "<b>&\udc80")])._repr_html_()
    assert '<td style="text-align: right">2.5</td>' in html
    assert "&lt;b&gt;&amp;\\udc80" in html
    assert html.encode("utf-8")
    assert html.count("<tr>") == 2
