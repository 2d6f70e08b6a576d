"""Every lesson is whole in each language, and is a notebook. That it runs: docs/test_lessons.py."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import jupytext
import nbformat
import pytest
import torch

from hornbook.autograd import Value
from hornbook.lessons.catalog import LANGUAGES, Lesson, lessons
from hornbook.lessons.checking import examine
from hornbook.lessons.exercise import exercises_of
from hornbook.lessons.notebook import notebook

LESSONS = lessons()
CHINESE = re.compile("[\u4e00-\u9fff]")
every_lesson = pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: str(lesson.name))


@every_lesson
def test_every_cell_of_prose_is_there_in_each_language(lesson: Lesson) -> None:
    cells = [cell for cell in lesson.cells() if cell.prose]
    names = [cell.name for cell in cells]
    assert all(names), "a cell of prose has no name"
    assert len(set(names)) == len(names)
    assert names[0] == "title"
    assert names[-1] == "explain"
    for language in LANGUAGES[1:]:
        prose = lesson.prose(language)
        assert [name for kind, name in prose if kind == "cell"] == names
        hints = [name for kind, name in prose if kind == "hint"]
        assert hints == list(lesson.exercises())
        for (_, name), text in prose.items():
            assert CHINESE.search(text), f"{name} is not written in Chinese"
        for cell in cells:  # what is shown of code is the same
            other = prose["cell", cell.name]
            assert re.findall(r"```.*?```", cell.source, re.S) == re.findall(
                r"```.*?```", other, re.S
            )
        assert lesson.exercises(language).keys() == lesson.exercises().keys()
        assert lesson.title(language) != lesson.name


@every_lesson
def test_hints_can_be_asked_for(lesson: Lesson) -> None:
    code = next(cell.source for cell in lesson.cells() if not cell.prose)
    names = re.search("from hornbook.lessons import (.*)", code)
    assert names
    assert {"check", "hint", "solution"} <= set(names[1].split(", "))
    prose = " ".join(cell.source for cell in lesson.cells() if cell.prose)
    assert 'hint("' in prose
    for text in lesson.prose("zh").values():
        for call in re.findall(r'hint\("[^)]*\)', text):
            assert 'lang="zh"' in call


@every_lesson
def test_a_lesson_says_what_is_new_and_what_it_needs(lesson: Lesson) -> None:
    title, *_ = lesson.cells()
    assert title.source.startswith(f"# Lesson {lesson.number}: ")
    assert "**New in this lesson:**" in title.source
    needed = [int(n) for n in lesson.options["needs"].split(",") if n.strip()]
    assert all(n < lesson.number for n in needed)
    assert int(lesson.options["reading"]) > 0
    assert int(lesson.options["running"]) > 0
    assert "## You can now explain" in lesson.cells()[-1].source


@every_lesson
def test_the_exercises_are_those_of_the_text(lesson: Lesson) -> None:
    found = exercises_of(lesson)
    assert {e.number: e.title for e in found} == lesson.exercises()
    assert [e.number for e in found] == [f"{lesson.number}.{i + 1}" for i in range(len(found))]
    assert len(found) >= 4
    for exercise in found:
        assert exercise.solution.__name__ == exercise.name
        assert exercise.hint
        stub = lesson.statement(exercise.number)
        assert f"def {exercise.name}(" in stub or f"class {exercise.name}" in stub
        assert f'check("{exercise.number}", {exercise.name})' in stub


@every_lesson
def test_no_answer_of_another_kind_passes(lesson: Lesson) -> None:
    for exercise in exercises_of(lesson):
        for answer in (None, 0, "x", [], torch.zeros(1), Value(0.0)):
            result = examine(exercise.number, lambda *_, answer=answer: answer, seed=1)
            assert not result.passed, f"{exercise.number}: {answer!r}"
            assert "raised" not in result.fault, result.fault


@every_lesson
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_lesson_is_a_notebook(lesson: Lesson, language: str) -> None:
    made = nbformat.reads(json.dumps(notebook(lesson, language)), as_version=4)
    nbformat.validate(made)
    read = jupytext.read(lesson.path, fmt="py:percent")
    assert len(made.cells) == len(read.cells) + 1  # the one that installs
    for cell, other in zip(made.cells[1:], read.cells, strict=True):
        assert cell.cell_type == other.cell_type
        if cell.cell_type == "code" or language == LANGUAGES[0]:
            assert cell.source == other.source


def test_there_are_twelve_lessons_in_order() -> None:
    assert [lesson.number for lesson in LESSONS] == list(range(1, 13))


def test_a_lesson_runs_as_a_script(tmp_path: Path) -> None:
    """In a process of its own, without a test around it."""
    done = subprocess.run(
        [sys.executable, str(LESSONS[0].path)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
