"""`hornbook ladder [CORPUS]`."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hornbook.cli.common import Parser, number, split_dotted, table, visible
from hornbook.config import parse_overrides
from hornbook.errors import ConfigError

if TYPE_CHECKING:
    from hornbook.metrics.comparison import RunResult


def run(arguments: list[str]) -> int:
    """Trains every rung on the same split and prints one table."""
    began = time.monotonic()  # --minutes counts from here, the import of torch included
    rest, dotted = split_dotted(arguments)
    parser = Parser("ladder")
    parser.add_argument("corpus", nargs="?", default="names", help="(default: names)")
    parser.add_argument("--rungs", help="only these, with commas between them")
    parser.add_argument(
        "--minutes", help="for all of it: each rung makes the updates that fit into its part"
    )
    parser.add_argument("--out", type=Path, help="directory (default: runs/ladder-CORPUS)")
    parser.add_argument("--json", action="store_true", help="the standings as JSON")
    args = parser.parse_args(rest)

    from hornbook.cli.progress import Progress
    from hornbook.experiments.ladder import climb
    from hornbook.files import dump

    def report(result: RunResult) -> None:
        print(
            f"{result.name:>14}  validation {number(result.validation)}  "
            f"{result.seconds:.1f} s  {'  '.join(map(visible, result.samples[:5]))[:70]}",
            file=sys.stderr,
        )

    try:
        ladder = climb(
            args.corpus,
            rungs=_names(args.rungs) if args.rungs is not None else (),
            out=args.out,
            settings=parse_overrides(dotted),
            minutes=args.minutes,
            began=began,
            callbacks=[Progress(brief=True)],
            report=report,
        )
    except KeyboardInterrupt as stop:
        stop.args = (
            "interrupted; finished rungs are kept, and the one in training is saved. To go on:\n"
            f"  hornbook ladder {shlex.join(arguments)}".rstrip(),
        )
        raise
    if args.json:
        rows = [result.to_json() for result in ladder.standings]
        print(dump({"standings": rows, "sentences": ladder.sentences}))
        return 0
    show(ladder.standings, ladder.sentences)
    print(f"\n{ladder.path}/ladder.png  {ladder.path}/ladder.json")
    return 0


def _names(listed: str) -> list[str]:
    names = [name.strip() for name in listed.split(",")]
    if not all(names):
        raise ConfigError(f"rungs: found {listed!r}, expected names with commas between them")
    return names


def show(standings: Sequence[RunResult], sentences: list[str]) -> None:
    """Table, sentences and samples side by side, on stdout."""
    from hornbook.metrics.comparison import rank, result_rows

    rows = sorted(standings, key=rank)
    print(table(result_rows(rows), right=range(1, 9)))
    print()
    for sentence in sentences:
        print(sentence)
    print()
    print(table([(row.name, *(visible(text)[:100] for text in row.samples[:5])) for row in rows]))
