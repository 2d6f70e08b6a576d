"""An exercise: what the learner writes, and what is right."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hornbook.errors import ConfigError
from hornbook.lessons.catalog import Lesson, lessons

if TYPE_CHECKING:
    import torch

    from hornbook.lessons.comparison import Comparison

    Check = Callable[[Any, torch.Generator], Iterator[Comparison]]


@dataclass(frozen=True)
class Exercise:
    """An exercise. number: lesson and place in it, `7.2`. name: that of the function to write.

    check: compares a candidate with what is right on inputs drawn from a generator.
    """

    number: str
    name: str
    title: str
    hint: str
    solution: Callable[..., Any]
    check: Check

    def solution_code(self) -> str:
        """The source of the solution."""
        return inspect.getsource(self.solution)


def exercises_of(lesson: Lesson) -> list[Exercise]:
    """The exercises of a lesson. Imports torch."""
    module = importlib.import_module(f"hornbook.lessons.exercises.lesson{lesson.number:02}")
    found: list[Exercise] = module.EXERCISES
    return found


def find_lesson_of(number: str) -> Lesson:
    """The lesson of an exercise by the exercise's number. Raises ConfigError where there is none."""
    for lesson in lessons():
        if number in lesson.exercises():
            return lesson
    known = [
        n
        for lesson in lessons()
        for n in lesson.exercises()
        if n.partition(".")[0] == number.partition(".")[0]
    ]
    raise ConfigError(
        f"exercise: found {number!r}, expected "
        + (f"one of {', '.join(known)}" if known else "a lesson's number and its own, such as 1.1")
        + "; hornbook lesson N lists those of a lesson"
    )


def find_exercise(number: str) -> Exercise:
    """An exercise by its number. Raises ConfigError where there is none."""
    lesson = find_lesson_of(number)
    return next(e for e in exercises_of(lesson) if e.number == number)
