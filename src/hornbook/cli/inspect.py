"""`hornbook inspect RUN`."""

from __future__ import annotations

import sys
from pathlib import Path

from hornbook.cli.common import Parser


def run(arguments: list[str]) -> int:
    """Draws what a run learned, how it trained and whether it copied."""
    parser = Parser("inspect")
    parser.add_argument("path", metavar="RUN", help="a run directory")
    parser.add_argument("--text", help="a text to read and continue (default: held-out text)")
    parser.add_argument("--out", type=Path, help="folder for the figures (default: RUN/inspect)")
    args = parser.parse_args(arguments)

    from hornbook.api import Run
    from hornbook.figures.page import inspect

    report = inspect(Run.load(args.path), args.out, args.text, tell=_tell)
    print(report.page)
    return 0


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
