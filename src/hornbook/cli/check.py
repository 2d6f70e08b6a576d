"""`hornbook check EXERCISE [FILE]`."""

from __future__ import annotations

from pathlib import Path

from hornbook.cli.common import Parser
from hornbook.errors import ConfigError, HornbookError
from hornbook.files import user_path
from hornbook.stages import stage


def run(arguments: list[str]) -> int:
    """Checks an answer to an exercise, or shows its statement, hint or solution.

    Exit code 1 where the answer is not right.
    """
    from hornbook.lessons.catalog import LANGUAGES
    from hornbook.lessons.messages import VARIABLE, spoken, translated

    parser = Parser("check")
    parser.add_argument("exercise", metavar="EXERCISE", help="number of the exercise, such as 7.2")
    parser.add_argument(
        "file", metavar="FILE", nargs="?", type=Path, help="your Python file, which is run"
    )
    parser.add_argument("--hint", action="store_true", help="print a hint")
    parser.add_argument("--solution", action="store_true", help="print the solution")
    parser.add_argument(
        "--lang",
        choices=LANGUAGES,
        help=f"language of what is printed (default: {VARIABLE}, else en)",
    )
    args = parser.parse_args(arguments)
    language = spoken(args.lang)
    option = "" if language == LANGUAGES[0] else f" --lang {language}"

    from hornbook.lessons.checking import examine, hint_of, interrupted, load_candidate
    from hornbook.lessons.exercise import find_exercise, find_lesson_of

    lesson = find_lesson_of(args.exercise)
    passed = True
    if args.file is not None:
        exercise = find_exercise(args.exercise)
        path = user_path(args.file, ConfigError)
        try:
            with stage(f"running {path}"):
                candidate = load_candidate(exercise, path)
            with stage(f"checking {exercise.name}"):
                result = examine(args.exercise, candidate)
        except HornbookError as error:
            raise type(error)(translated(str(error), language)) from None
        except KeyboardInterrupt as stop:
            stop.args = (translated(interrupted(stop, path), language),)
            raise
        print(result.text(language))
        passed = result.passed
    elif not args.hint and not args.solution:
        statement = lesson.statement(args.exercise, language)
        # a file needs no call of check, and does not import it
        print(statement.rpartition(f'check("{args.exercise}"')[0].rstrip())
        how = "Write it in a file, with the imports that it needs, and check it:"
        print(
            f"\n{translated(how, language)}\n"
            f"  hornbook check {args.exercise} my_file.py{option}\n"
            f"  hornbook check {args.exercise}{option} --hint"
        )
        return 0
    if args.hint:
        print(hint_of(args.exercise, language))
    if args.solution:
        print(find_exercise(args.exercise).solution_code(), end="")
    return 0 if passed else 1
