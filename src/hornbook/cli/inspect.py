"""`hornbook inspect RUN`."""

from __future__ import annotations

import sys
from pathlib import Path

from hornbook.cli.common import Parser
from hornbook.stages import line_written


def run(arguments: list[str]) -> int:
    """Draws what a run has learned, how it was trained and whether it copies."""
    parser = Parser("inspect")
    parser.add_argument("path", metavar="RUN", help="a run directory")
    parser.add_argument("--text", help="a text to read and continue (default: held-out text)")
    parser.add_argument("--out", type=Path, help="folder for the figures (default: RUN/inspect)")
    args = parser.parse_args(arguments)

    from hornbook.run import Run

    loaded = Run.load(args.path)
    print(loaded.inspect(args.out, text=args.text, on_message=_say).page)
    return 0


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
    line_written()
