"""Lessons as pages: outputs of one run under the prose of each language."""

from __future__ import annotations

import ast

import pytest

pytest.importorskip("sphinx", reason="needs the extra docs")
pytest.importorskip("nbclient", reason="needs the extra docs")

from _site import lessons

from hornbook.lessons.cells import read_cells

LESSON = lessons.all_lessons()[0]


def test_a_page_has_the_prose_of_its_language_and_the_outputs_of_the_run() -> None:
    run = lessons.plain(LESSON)
    for i, cell in enumerate(c for c in run.cells if c.cell_type == "code"):
        cell.outputs = [{"output_type": "stream", "name": "stdout", "text": str(i)}]
    for language in ("en", "zh"):
        page = lessons.page(LESSON, language, run)
        assert LESSON.title(language) in page.cells[0].source
        code = [cell for cell in page.cells if cell.cell_type == "code"]
        first = 1  # that which installs is not on the page
        assert [cell.outputs[0]["text"] for cell in code] == [
            str(i + first) for i in range(len(code))
        ]
        assert f"files/{language}/{LESSON.name}.ipynb" in page.cells[0].source


def test_a_script_in_another_language_has_the_same_code() -> None:
    text = lessons.script(LESSON, "zh")
    ast.parse(text)
    code = [cell.source for cell in read_cells(text) if not cell.prose]
    assert code == [cell.source for cell in LESSON.cells() if not cell.prose]
    assert LESSON.title("zh") in text
