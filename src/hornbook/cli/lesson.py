"""`hornbook lesson [N]`."""

from __future__ import annotations

from pathlib import Path

from hornbook.cli.common import Parser, note, print_json
from hornbook.errors import ConfigError
from hornbook.files import user_path
from hornbook.table import table


def run(arguments: list[str]) -> int:
    """Lists the lessons, says where one is, or writes it as a notebook."""
    from hornbook.lessons.catalog import LANGUAGES, find_lesson, lessons

    parser = Parser("lesson")
    parser.add_argument("number", metavar="N", nargs="?", help="the lesson to open")
    parser.add_argument("--notebook", action="store_true", help="write it as a Jupyter notebook")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="the notebook to write (default: its name, here)"
    )
    parser.add_argument(
        "--lang",
        choices=LANGUAGES,
        default=LANGUAGES[0],
        help="language of the prose (default: en)",
    )
    parser.add_argument("--json", action="store_true", help="as JSON")
    args = parser.parse_args(arguments)
    if args.out is not None and not args.notebook:
        raise ConfigError("out: found it without --notebook; give both, or leave it out")
    if args.number is None and args.notebook:
        raise ConfigError("notebook: found it without a lesson; hornbook lesson N --notebook")

    chosen = lessons() if args.number is None else (find_lesson(args.number),)
    if args.json:
        known = [
            {
                "number": lesson.number,
                "title": lesson.title(args.lang),
                "needs": [int(n) for n in lesson.options["needs"].split(",") if n.strip()],
                "reading_minutes": int(lesson.options["reading"]),
                "running_minutes": int(lesson.options["running"]),
                "path": str(lesson.path),
                "exercises": lesson.exercises(args.lang),
            }
            for lesson in chosen
        ]
        print_json(known if args.number is None else known[0])
    if args.notebook:
        from hornbook.lessons.notebook import notebook_name, write_notebook

        (lesson,) = chosen
        out = user_path(args.out or Path(notebook_name(lesson, args.lang)), ConfigError)
        write_notebook(out, lesson, args.lang)
        note(f"wrote {out}; open it with Jupyter (pip install jupyterlab), VS Code or Colab")
    if args.json or args.notebook:
        return 0
    if args.number is None:
        head = ("N", "lesson", "needs", "reading", "running")
        rows = [
            (
                str(lesson.number),
                lesson.title(args.lang),
                lesson.options["needs"] or "-",
                f"{lesson.options['reading']} min",
                f"{lesson.options['running']} min",
            )
            for lesson in chosen
        ]
        print(table([head, *rows]))
        print(
            "\nreading: with the exercises; running: on two cores\n"
            "hornbook lesson N says where one is; --notebook writes it as a notebook, --lang zh in "
            "Chinese"
        )
        return 0
    (lesson,) = chosen
    print(f"Lesson {lesson.number}: {lesson.title(args.lang)}\n\n{lesson.path}")
    language = ""
    if args.lang != LANGUAGES[0]:  # the code is not repeated in the file of another language
        language = f" --lang {args.lang}"
        print(f"{lesson.prose_path(args.lang)} (its prose; the code is in the file above)")
    print("\nexercises")
    for number, title in lesson.exercises(args.lang).items():
        print(f"  {number}  {title}")
    print(
        f"\nhornbook lesson {lesson.number}{language} --notebook writes prose and code as a notebook, "
        "to work in\n"
        f"hornbook check {lesson.number}.1{language} shows an exercise; "
        f"hornbook check {lesson.number}.1 my_file.py checks your answer"
    )
    return 0
