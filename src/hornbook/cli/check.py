"""`hornbook check EXERCISE [FILE]`."""

from __future__ import annotations

from pathlib import Path

from hornbook.cli.common import Parser
from hornbook.errors import ConfigError
from hornbook.files import user_path


def run(arguments: list[str]) -> int:
    """Checks an answer to an exercise, or shows its statement, hint or solution.

    Exit code 1 where the answer is not right.
    """
    from hornbook.lessons.catalog import LANGUAGES

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
        default=LANGUAGES[0],
        help="language of statement and hint (default: en)",
    )
    args = parser.parse_args(arguments)

    from hornbook.lessons.checking import examine, hint_of, load_candidate
    from hornbook.lessons.exercise import find_exercise, find_lesson_of

    lesson = find_lesson_of(args.exercise)
    passed = True
    if args.file is not None:
        exercise = find_exercise(args.exercise)
        candidate = load_candidate(exercise, user_path(args.file, ConfigError))
        result = examine(args.exercise, candidate)
        print(result)
        passed = result.passed
    elif not args.hint and not args.solution:
        statement = lesson.statement(args.exercise, args.lang)
        # a file needs no call of check, and does not import it
        print(statement.rpartition(f'check("{args.exercise}"')[0].rstrip())
        language = "" if args.lang == LANGUAGES[0] else f" --lang {args.lang}"
        print(
            "\nWrite it in a file, with the imports that it needs, and check it:\n"
            f"  hornbook check {args.exercise} my_file.py\n"
            f"  hornbook check {args.exercise}{language} --hint"
        )
        return 0
    if args.hint:
        print(hint_of(args.exercise, args.lang))
    if args.solution:
        print(find_exercise(args.exercise).solution_code(), end="")
    return 0 if passed else 1
