"""Lessons as pages: outputs of one run under the prose of each language."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

pytest.importorskip("sphinx", reason="needs the extra docs")
pytest.importorskip("nbclient", reason="needs the extra docs")

import nbformat
from _site import lessons

from hornbook.lessons.catalog import Lesson
from hornbook.lessons.cells import read_cells
from hornbook.lessons.checking import unwritten
from hornbook.lessons.exercise import exercises_of

LESSON = lessons.all_lessons()[0]


def test_a_page_has_the_prose_of_its_language_and_the_outputs_of_the_run() -> None:
    run = lessons.plain(LESSON)
    for i, cell in enumerate(c for c in run.cells if c.cell_type == "code"):
        cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text=str(i))]
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
    speaks, *code = [cell.source for cell in read_cells(text) if not cell.prose]
    assert 'os.environ["HORNBOOK_LANG"] = "zh"' in speaks
    assert code == [cell.source for cell in LESSON.cells() if not cell.prose]
    assert LESSON.title("zh") in text


@pytest.mark.parametrize("lesson", lessons.all_lessons(), ids=lambda lesson: str(lesson.name))
def test_a_lesson_runs_from_top_to_bottom(lesson: Lesson, monkeypatch: pytest.MonkeyPatch) -> None:
    """With small settings. `HORNBOOK_LESSONS=fast make docs` takes the outputs, and runs none again."""
    monkeypatch.setenv("HORNBOOK_LESSONS", "fast")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    run = lessons.executed(lesson)
    outputs = [out for cell in run.cells if cell.cell_type == "code" for out in cell.outputs]
    said = "".join(out.text for out in outputs if out.output_type == "stream")
    for exercise in exercises_of(lesson):
        assert str(unwritten(exercise)) in said, f"its stub does not call check({exercise.number})"
    warned = [o.text for o in outputs if o.output_type == "stream" and "Warning" in o.text]
    assert not warned
    page = lessons.page(lesson, "zh", run)
    streams = [o.text for c in page.cells for o in c.get("outputs", ()) if "text" in o]
    assert not re.search(r"Exercise \d+\.\d+: ", "".join(streams)), "a check speaks English"


def test_what_was_executed_is_kept_until_something_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lessons, "EXECUTED", tmp_path / "executed")
    (tmp_path / "09_short.py").write_text(
        '# %% [markdown] name="title"\n# # Lesson 9: Short\n# %%\nprint(6 * 7)\n', "utf-8"
    )
    lesson = Lesson(tmp_path / "09_short.py")
    monkeypatch.setenv("HORNBOOK_LESSONS", "fast")
    run = lessons.executed(lesson)
    assert run.cells[-1].outputs[0].text == "42\n"
    (kept,) = (tmp_path / "executed").iterdir()
    kept.write_text(kept.read_text("utf-8").replace("42", "43"), "utf-8")
    assert lessons.executed(lesson).cells[-1].outputs[0].text == "43\n"
    lesson.path.write_text(f"{lesson.path.read_text('utf-8')}open('left', 'w').close()\n", "utf-8")
    with pytest.raises(RuntimeError, match="leaves left where it runs"):
        lessons.executed(lesson)
