"""`hornbook ladder [CORPUS]`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from hornbook.cli.common import Parser, split_dotted, table, visible
from hornbook.config import parse_overrides


def run(arguments: list[str]) -> int:
    """Trains every rung on the same split and prints one table."""
    rest, dotted = split_dotted(arguments)
    parser = Parser("ladder")
    parser.add_argument("corpus", nargs="?", default="names", help="(default: names)")
    parser.add_argument("--rungs", help="only these, with commas between them")
    parser.add_argument("--out", type=Path, help="directory (default: runs/ladder-CORPUS)")
    parser.add_argument("--json", action="store_true", help="the standings as JSON")
    args = parser.parse_args(rest)

    from hornbook.cli.progress import Progress
    from hornbook.diagnostics.compare import Standing
    from hornbook.ladder import climb

    def report(standing: Standing) -> None:
        print(
            f"{standing.name:>14}  validation {standing.validation:.4f}  "
            f"{standing.seconds:.1f} s  {'  '.join(map(visible, standing.samples[:5]))[:70]}",
            file=sys.stderr,
        )

    ladder = climb(
        args.corpus,
        rungs=args.rungs.split(",") if args.rungs else (),
        out=args.out,
        settings=parse_overrides(dotted),
        callbacks=[Progress(brief=True)],
        report=report,
    )
    if args.json:
        rows = [standing.to_json() for standing in ladder.standings]
        print(json.dumps({"standings": rows, "sentences": ladder.sentences}, ensure_ascii=False))
        return 0
    show(ladder.standings, ladder.sentences)
    print(f"\n{ladder.path}/ladder.png  {ladder.path}/ladder.json")
    return 0


def show(standings: object, sentences: list[str]) -> None:
    """Table, sentences and samples side by side, on stdout."""
    from hornbook.diagnostics.compare import columns

    rows = sorted(standings, key=lambda s: s.bits_per_byte)  # type: ignore[call-overload]
    print(table(columns(rows), right=range(1, 9)))
    print()
    for sentence in sentences:
        print(sentence)
    print()
    print(table([(row.name, *(visible(text)[:100] for text in row.samples[:5])) for row in rows]))
