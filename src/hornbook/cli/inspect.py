"""`hornbook inspect RUN`."""

from __future__ import annotations

from pathlib import Path

from hornbook.cli.common import Parser, note, print_json


def run(arguments: list[str]) -> int:
    """Draws what a run has learned, how it was trained and whether it copies."""
    parser = Parser("inspect")
    parser.add_argument("path", metavar="RUN", help="a run directory")
    parser.add_argument("--text", help="a text to read and continue (default: held-out text)")
    parser.add_argument("--out", type=Path, help="folder for the figures (default: RUN/inspect)")
    parser.add_argument("--json", action="store_true", help="the findings as JSON")
    args = parser.parse_args(arguments)

    from hornbook.run import Run

    found = Run.load(args.path).inspect(args.out, text=args.text, on_message=note)
    if args.json:
        print_json(found.to_json())
    else:
        print(found.page)
    return 0
