"""`hornbook compare RUN RUN ...`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from hornbook.cli.common import Parser, check_picture, print_json, write_picture


def run(arguments: list[str]) -> int:
    """Prints runs side by side, and whether their differences are significant."""
    parser = Parser("compare")
    parser.add_argument("paths", nargs="+", metavar="RUN", help="two run directories or more")
    parser.add_argument("--out", type=Path, help="also draw it: FILE.png or FILE.svg")
    parser.add_argument("--json", action="store_true", help="as JSON")
    args = parser.parse_args(arguments)
    check_picture(args.out)

    from hornbook.api import compare
    from hornbook.cli.ladder import show

    found = compare(args.paths)
    if args.out is not None:
        from hornbook.figures.comparison import comparison

        write_picture(args.out, comparison(found.results, "Comparison"))
    if args.json:
        pairs = [{**asdict(d), "sentence": d.sentence} for d in found.differences]
        rows = [asdict(result) for result in found.results]
        print_json({"standings": rows, "differences": pairs})
        return 0
    show(found.results, found.sentences)
    return 0
