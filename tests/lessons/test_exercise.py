"""Exercises by their numbers."""

from __future__ import annotations

import pytest

from hornbook.errors import ConfigError
from hornbook.lessons.catalog import lessons
from hornbook.lessons.exercise import exercises_of, find_exercise, find_lesson_of


def test_an_exercise_is_found_by_its_number() -> None:
    exercise = find_exercise("1.1")
    assert exercise.name == "numerical_gradient"
    assert exercise in exercises_of(lessons()[0])
    assert find_lesson_of("1.1").number == 1


def test_the_code_of_a_solution_is_its_source() -> None:
    assert find_exercise("1.1").solution_code().startswith("def numerical_gradient(")


@pytest.mark.parametrize(
    ("number", "known"), [("1.99", "one of 1.1, 1.2"), ("x", "such as 1.1"), ("", "such as 1.1")]
)
def test_an_unknown_number_names_the_known(number: str, known: str) -> None:
    with pytest.raises(ConfigError, match=f"exercise: found '{number}', expected .*{known}"):
        find_lesson_of(number)
