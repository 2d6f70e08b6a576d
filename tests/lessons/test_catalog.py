"""The lessons that there are, and what each says of itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from hornbook.errors import ConfigError
from hornbook.lessons.catalog import Lesson, find_lesson, lessons


@pytest.fixture
def lesson(tmp_path: Path) -> Lesson:
    (tmp_path / "zh").mkdir()
    (tmp_path / "03_counts.py").write_text(
        '# %% [markdown] name="title" needs="1" reading="9" running="1"\n# # Lesson 3: Counts\n'
        '# %% [markdown] name="exercise-3-1"\n# ### Exercise 3.1: Count: all\n# Do it.\n'
        "# %%\ndef count(): ...\n",
        "utf-8",
    )
    (tmp_path / "zh" / "03_counts.md").write_text(
        "<!-- cell: title -->\n# 第 3 课：计数\n"
        "<!-- cell: exercise-3-1 -->\n### 练习 3.1：数一数\n做吧。\n",
        "utf-8",
    )
    return Lesson(tmp_path / "03_counts.py")


def test_a_lesson_by_its_text(lesson: Lesson) -> None:
    assert (lesson.number, lesson.name) == (3, "03_counts")
    assert (lesson.title(), lesson.title("zh")) == ("Counts", "计数")
    assert lesson.options["reading"] == "9"
    assert lesson.exercises() == {"3.1": "Count: all"}
    assert lesson.exercises("zh") == {"3.1": "数一数"}


def test_the_statement_of_an_exercise_has_the_code_to_complete(lesson: Lesson) -> None:
    assert lesson.statement("3.1").endswith("Do it.\n\ndef count(): ...")
    assert lesson.statement("3.1", "zh").endswith("做吧。\n\ndef count(): ...")


def test_a_lesson_is_found_by_its_number_or_name() -> None:
    first = lessons()[0]
    assert [find_lesson(n) for n in ("1", "01", first.name)] == [first] * 3
    with pytest.raises(ConfigError, match=r"lesson: found '99', expected one of 1"):
        find_lesson("99")
