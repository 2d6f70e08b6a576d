"""`check("7.2", function)`: runs an exercise's check and prints what it found; hints and solutions."""

from __future__ import annotations

import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hornbook.errors import ConfigError, DataError, counted, did_you_mean, in_terminal
from hornbook.lessons.catalog import LANGUAGES
from hornbook.lessons.exercise import Exercise, find_exercise, find_lesson_of
from hornbook.lessons.messages import spoken, translated

if TYPE_CHECKING:
    from hornbook.lessons.comparison import Comparison

ROUNDS = 3  # of fresh random inputs
CANDIDATE = "__candidate__"  # the module of a learner's file


@dataclass(frozen=True)
class Result:
    """What a check found. fault: what the candidate raised, in words; empty where it did not."""

    exercise: Exercise
    comparisons: list[Comparison]
    fault: str = ""

    @property
    def passed(self) -> bool:
        """Whether everything is right."""
        return not self.fault and all(c.right for c in self.comparisons)

    def __str__(self) -> str:
        """What `text` returns, in English."""
        return self.text(LANGUAGES[0])

    def text(self, language: str) -> str:
        """Several lines: the exercise, what was compared, and how to go on."""

        def say(text: str) -> str:
            return translated(text, language)

        number, title = self.exercise.number, self.exercise.title
        if language != LANGUAGES[0]:
            title = find_lesson_of(number).exercises(language)[number]
        colon = ": " if language == LANGUAGES[0] else "："
        lines = [
            f"{say('ok' if c.right else 'WRONG'):5}  {say(c.what)}{colon}{say(c.words)}"
            for c in self.comparisons
        ]
        if self.fault:
            lines.append(say(self.fault))
        if self.passed:
            rounds = counted(ROUNDS, "round")
            lines.append(say(f"{number} passed, on {rounds} of fresh random inputs"))
        else:
            option = "" if language == LANGUAGES[0] else f" --lang {language}"
            way = f'hint("{number}")'
            if in_terminal.get():
                way = f"hornbook check {number}{option} --hint"
            lines.append(say(f"{number} not passed yet; {way} prints a hint"))
        head = f"{say(f'Exercise {number}')}{colon}{title}"
        return "\n".join([head, *(f"  {x}" for x in lines)])


def examine(number: str, candidate: Callable[..., Any], seed: int | None = None) -> Result:
    """Checks a candidate for an exercise. seed: of the random inputs; None for other ones each time.

    Raises ConfigError where there is no such exercise; what the candidate raises is in the result.
    """
    import torch

    exercise = find_exercise(number)
    generator = torch.Generator()
    if seed is None:
        generator.seed()
    else:
        generator.manual_seed(seed)
    comparisons: list[Comparison] = []
    for _ in range(ROUNDS):
        comparisons = []
        try:
            for comparison in exercise.check(candidate, generator):
                comparisons.append(comparison)
                if not comparison.right:
                    return Result(exercise, comparisons)
        except (Exception, SystemExit) as error:
            return Result(exercise, comparisons, _fault(exercise, candidate, error))
    return Result(exercise, comparisons)


def check(number: str, candidate: Callable[..., Any], lang: str | None = None) -> None:
    """Checks a function for an exercise and prints what it found.

    lang: en, or zh for Chinese; None for that of the notebook.
    """
    print(examine(number, candidate).text(spoken(lang)))


def hint(number: str, lang: str | None = None) -> None:
    """Prints the hint for an exercise. lang: en, or zh for Chinese; None for that of the notebook."""
    print(hint_of(number, lang))


def solution(number: str) -> None:
    """Prints the solution of an exercise."""
    print(find_exercise(number).solution_code())


def hint_of(number: str, lang: str | None = None) -> str:
    """The hint for an exercise. Raises ConfigError for an unknown exercise or language."""
    language = spoken(lang)
    if language == LANGUAGES[0]:
        return find_exercise(number).hint
    return find_lesson_of(number).prose(language)["hint", number]


def load_candidate(exercise: Exercise, path: Path) -> Callable[..., Any]:
    """The function for an exercise from a file of Python, which is run.

    Raises DataError where it cannot be run, ConfigError where it has no such function.
    """
    if not path.is_file():
        raise DataError(f"{path}: found no such file; give the file with {exercise.name}")
    if path.suffix != ".py":
        raise DataError(
            f"{path}: found {path.suffix or 'no suffix'}, expected a file of Python that ends in .py; "
            f'in a notebook, call check("{exercise.number}", {exercise.name})'
        )
    spec = importlib.util.spec_from_file_location(CANDIDATE, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[CANDIDATE] = module  # where its dataclasses look for it
    sys.path.insert(0, str(path.parent.resolve()))  # its own imports, as when it is run
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise DataError(
            f"{path}: {_raised(error, path)}; it must run before it can be checked"
        ) from None
    finally:
        sys.path.pop(0)
    candidate: Callable[..., Any] | None = getattr(module, exercise.name, None)
    if not callable(candidate):
        own = [
            n
            for n, v in vars(module).items()
            if callable(v) and getattr(v, "__module__", "") == CANDIDATE
        ]
        raise ConfigError(
            f"{path}: found no function {exercise.name}{did_you_mean(exercise.name, own)}; exercise "
            f"{exercise.number} asks for one, as its stub shows: hornbook check {exercise.number}"
        )
    return candidate


def unwritten(exercise: Exercise) -> Result:
    """The result of a stub."""
    return Result(exercise, [], f"{exercise.name} is not written yet")


def _fault(exercise: Exercise, candidate: Callable[..., Any], error: BaseException) -> str:
    """What a candidate raised, or why what it returned cannot be compared, in words."""
    if isinstance(error, NotImplementedError) and not error.args:
        return unwritten(exercise).fault
    try:
        file = inspect.getsourcefile(inspect.unwrap(candidate))
    except TypeError:
        file = None
    if file is None or _lines(error, Path(file)):
        return f"{exercise.name}: {_raised(error, Path(file) if file else None)}"
    return (
        f"{exercise.name} cannot be called, or its result not compared ({type(error).__name__}: "
        f"{error}); does it take these arguments, and return what the exercise asks for?"
    )


def _raised(error: BaseException, path: Path | None) -> str:
    """`line 3: raised NameError: ...`: the last line of a file where an error passed through."""
    kind, text = type(error).__name__, str(error)
    if isinstance(error, SyntaxError):
        where = f"line {error.lineno}: " if error.lineno else ""
        return f"{where}{kind}: {error.msg}"
    lines = [] if path is None else _lines(error, path)
    where = f"line {lines[-1]}: " if lines else ""
    return f"{where}raised {kind}" + (f": {text}" if text else "")


def interrupted(error: BaseException, path: Path) -> str:
    """Where a file was when Ctrl-C stopped it, in words."""
    lines = _lines(error, path)
    where = f"line {lines[-1]}: " if lines else ""
    return f"{path}: {where}interrupted; does a loop in it never end?"


def _lines(error: BaseException, path: Path) -> list[int | None]:
    """The lines of a file that an error passed through."""
    frames = traceback.extract_tb(error.__traceback__)
    path = path.resolve()
    return [frame.lineno for frame in frames if Path(frame.filename).resolve() == path]
