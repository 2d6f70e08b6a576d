"""`hornbook lesson [N]`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from hornbook.cli.common import Parser, note, print_json
from hornbook.errors import ConfigError
from hornbook.files import user_path
from hornbook.table import table

if TYPE_CHECKING:
    from hornbook.lessons.catalog import Lesson


def run(arguments: list[str]) -> int:
    """Lists the lessons, says how to open one, or opens it or writes it as a notebook."""
    from hornbook.lessons.catalog import LANGUAGES, find_lesson, lessons
    from hornbook.lessons.messages import VARIABLE, spoken, translated

    parser = Parser("lesson")
    parser.add_argument("number", metavar="N", nargs="?", help="the lesson to open")
    parser.add_argument("--notebook", action="store_true", help="write it as a Jupyter notebook")
    parser.add_argument(
        "--open", action="store_true", help="open that notebook in JupyterLab or VS Code"
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="the notebook to write (default: its name, here)"
    )
    parser.add_argument(
        "--lang",
        choices=LANGUAGES,
        help=f"language of the prose and of checks (default: {VARIABLE}, else en)",
    )
    parser.add_argument("--json", action="store_true", help="as JSON")
    args = parser.parse_args(arguments)
    args.lang = spoken(args.lang)

    def say(text: str) -> str:
        return translated(text, args.lang)

    if args.out is not None and not (args.notebook or args.open):
        raise ConfigError("out: found it without --notebook; give both, or leave it out")
    for name in ("notebook", "open"):
        if args.number is None and getattr(args, name):
            raise ConfigError(f"{name}: found it without a lesson; hornbook lesson N --{name}")

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
    if args.notebook or args.open:
        from hornbook.lessons.notebook import notebook_name

        out = user_path(args.out or Path(notebook_name(chosen[0], args.lang)), ConfigError)
        return _notebook(chosen[0], args.lang, out, shown=args.open)
    if args.json:
        return 0
    if args.number is None:
        head = ("N", *map(say, ("lesson", "needs", "reading", "running")))
        rows = [
            (
                str(lesson.number),
                lesson.title(args.lang),
                lesson.options["needs"] or "-",
                say(f"{lesson.options['reading']} min"),
                say(f"{lesson.options['running']} min"),
            )
            for lesson in chosen
        ]
        print(table([head, *rows]))
        print(f"\n{say('reading: with the exercises; running: on two cores')}")
        way = "hornbook lesson N --open opens one; --notebook writes it as a notebook"
        print(say(f"{way}, --lang zh in Chinese"))
        return 0
    (lesson,) = chosen
    print(say(f"Lesson {lesson.number}: {lesson.title(args.lang)}") + f"\n\n{lesson.path}")
    language = ""
    if args.lang != LANGUAGES[0]:  # the code is not repeated in the file of another language
        language = f" --lang {args.lang}"
        prose = lesson.prose_path(args.lang)
        print(say(f"{prose} (its prose; the code is in the file above)"))
    print(f"\n{say('exercises')}")
    for number, title in lesson.exercises(args.lang).items():
        print(f"  {number}  {title}")
    from hornbook.lessons.notebook import notebook_name

    verb, name = f"hornbook lesson {lesson.number}{language}", notebook_name(lesson, args.lang)
    check = f"hornbook check {lesson.number}.1"
    print()
    for line in (
        f"{verb} --open opens it as a notebook, to work in",
        f"{verb} --notebook writes that notebook; then: jupyter lab {name}, or code {name}",
        f"python {lesson.path} runs it as a script",
        f"{check}{language} shows an exercise; {check} my_file.py{language} checks your answer",
    ):
        print(say(line))
    return 0


def _notebook(lesson: Lesson, language: str, out: Path, *, shown: bool) -> int:
    """Writes a lesson as a notebook, or opens it, and writes it before where it is not there yet."""
    from hornbook.lessons.messages import translated
    from hornbook.lessons.notebook import write_notebook
    from hornbook.lessons.opening import open_notebook, opener

    known = opener()
    if not (shown and out.exists()):
        write_notebook(out, lesson, language)
        way = (
            f"open it in {known[0]}: {shlex.join([*known[1], str(out)])}"
            if known
            else ("open it in Jupyter (pip install jupyterlab, then jupyter lab), VS Code or Colab")
        )
        note(translated(f"wrote {out}" if shown else f"wrote {out}; {way}", language))
    if not shown:
        return 0
    if known is None:
        missing = (
            f"open: found neither Jupyter beside hornbook nor VS Code, which would show {out}; "
            "pip install jupyterlab, then give the command again"
        )
        raise ConfigError(translated(missing, language))
    note(translated(f"opening {out} in {known[0]}; Ctrl-C ends it", language))
    return open_notebook(known[1], out)
