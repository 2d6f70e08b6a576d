"""The lessons that there are. A lesson's text owns all that is known about it: see `title` cells."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

from hornbook.errors import ConfigError
from hornbook.lessons.cells import Cell, read_cells, read_prose, with_prose

TEXTS = Path(str(resources.files("hornbook.lessons").joinpath("texts")))
LANGUAGES = ("en", "zh")  # the first is that of the texts themselves
_HEADING = re.compile(r"^# .*?(?:: |：)(?P<title>.*)$", re.MULTILINE)
_EXERCISE = re.compile(r"^#+ .*?(?P<number>\d+\.\d+)(?:: |：)(?P<title>.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Lesson:
    """A lesson by the path of its text. Its cells are read when they are asked for."""

    path: Path

    @property
    def number(self) -> int:
        """1 for the first."""
        return int(self.path.stem.partition("_")[0])

    @property
    def name(self) -> str:
        """Number and name, as files of it are called: `06_initialization`."""
        return self.path.stem

    def prose_path(self, language: str) -> Path:
        """The file of the prose in another language than the text's own."""
        return self.path.parent / language / f"{self.name}.md"

    def prose(self, language: str) -> dict[tuple[str, str], str]:
        """The prose and the hints of another language than the text's own."""
        return read_prose(self.prose_path(language).read_text("utf-8"))

    def cells(self, language: str = LANGUAGES[0]) -> list[Cell]:
        """Its cells, with the prose in a language."""
        cells = read_cells(self.path.read_text("utf-8"), self.path.name)
        return cells if language == LANGUAGES[0] else with_prose(cells, self.prose(language))

    def title(self, language: str = LANGUAGES[0]) -> str:
        """What it is about: the first heading, without its number."""
        found = _HEADING.search(self.cells(language)[0].source)
        return found["title"] if found else self.name

    @property
    def options(self) -> dict[str, str]:
        """needs: the lessons it builds on; reading, running: minutes."""
        return self.cells()[0].options

    def exercises(self, language: str = LANGUAGES[0]) -> dict[str, str]:
        """The titles of its exercises by their numbers."""
        cells = (cell for cell in self.cells(language) if cell.name.startswith("exercise-"))
        found = (_EXERCISE.search(cell.source) for cell in cells)
        return {match["number"]: match["title"] for match in found if match}

    def statement(self, number: str, language: str = LANGUAGES[0]) -> str:
        """The statement of an exercise and the code to complete, as text."""
        cells = self.cells(language)
        name = f"exercise-{number.replace('.', '-')}"
        at = next(i for i, cell in enumerate(cells) if cell.name == name)
        code = [cell.source for cell in cells[at + 1 : at + 2] if not cell.prose]
        return "\n\n".join([cells[at].source, *code])


@cache
def lessons() -> tuple[Lesson, ...]:
    """All lessons, in their order."""
    return tuple(map(Lesson, sorted(TEXTS.glob("[0-9][0-9]_*.py"))))


def find_lesson(number: str) -> Lesson:
    """A lesson by its number. Raises ConfigError where there is none."""
    for lesson in lessons():
        if number in (str(lesson.number), lesson.name, lesson.name.partition("_")[0]):
            return lesson
    known = ", ".join(str(lesson.number) for lesson in lessons())
    raise ConfigError(
        f"lesson: found {number!r}, expected one of {known}; hornbook lesson lists them"
    )
