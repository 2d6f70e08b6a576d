"""`hornbook compare RUN RUN ...`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from hornbook.cli.common import Parser, check_picture, write_picture
from hornbook.errors import ConfigError


def run(arguments: list[str]) -> int:
    """Prints runs side by side, and whether their differences are real."""
    parser = Parser("compare")
    parser.add_argument("paths", nargs="+", metavar="RUN", help="two run directories or more")
    parser.add_argument("--out", type=Path, help="a picture of it: FILE.png or FILE.svg")
    parser.add_argument("--json", action="store_true", help="as JSON")
    args = parser.parse_args(arguments)
    if len(args.paths) < 2:
        raise ConfigError("RUN: found 1 run, expected two or more to compare")
    check_picture(args.out)

    from hornbook.api import Run
    from hornbook.cli.ladder import show
    from hornbook.files import dump
    from hornbook.metrics.compare import compare, not_held_out

    measured, found = compare([Run.load(path) for path in args.paths])
    standings = [m.standing for m in measured]
    if args.out is not None:
        from hornbook.figures.standings import standings as draw

        write_picture(args.out, draw(standings, "Comparison"))
    if args.json:
        pairs = [{**asdict(d), "sentence": d.sentence} for d in found]
        rows = [s.to_json() for s in standings]
        print(dump({"standings": rows, "differences": pairs}))
        return 0
    show(standings, not_held_out(standings) + [d.sentence for d in found])
    return 0
