"""A lesson's text as cells. That real texts are read as jupytext reads them: test_texts.py."""

from __future__ import annotations

import doctest

import pytest

from hornbook.errors import DataError
from hornbook.lessons import cells
from hornbook.lessons.cells import Cell, read_cells, read_prose, with_prose

TEXT = """
# %% [markdown] name="title" needs="1, 2"
# # One
#
#     indented

# %%
x = 1


y = 2  # %% no cell
# %%
# a comment of code
"""


def test_cells_of_prose_and_of_code() -> None:
    title, code, comment = read_cells(TEXT)
    assert title == Cell("# One\n\n    indented", True, {"name": "title", "needs": "1, 2"})
    assert title.name == "title"
    assert code == Cell("x = 1\n\n\ny = 2  # %% no cell")
    assert code.name == ""
    assert comment.source == "# a comment of code"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("# %% markdown\n", r"lesson: line 1: found '# %% markdown', expected"),
        ('# %% [markdown] name=""x"\n', "line 1: found"),
        ("# %% [markdown]\n# one\ntwo\n", "line 3: found 'two' in a cell of prose"),
        ("x = 1\n# %%\n", "line 1: found text before the first"),
    ],
)
def test_what_is_no_lesson_says_where(text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_cells(text, "lesson")


def test_prose_of_another_language_takes_the_place_of_the_texts_own() -> None:
    prose = read_prose("<!-- cell: title -->\n\n# 一\n\n<!-- hint: 1.1 -->\n想\n")
    assert prose == {("cell", "title"): "# 一", ("hint", "1.1"): "想"}
    found = with_prose(read_cells(TEXT), prose)
    assert found[0].source == "# 一"
    assert found[0].options["needs"] == "1, 2"
    assert found[1:] == read_cells(TEXT)[1:]


def test_missing_and_repeated_prose() -> None:
    with pytest.raises(DataError, match="'title': found no prose"):
        with_prose(read_cells(TEXT), {})
    with pytest.raises(DataError, match="cell: a: found this block twice"):
        read_prose("<!-- cell: a -->\nx\n<!-- cell: a -->\ny\n")


def test_examples() -> None:
    assert doctest.testmod(cells).failed == 0
