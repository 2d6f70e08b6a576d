"""`hornbook ladder [CORPUS]`."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hornbook.cli.common import number, print_json
from hornbook.cli.flags import SettingsParser, read_word
from hornbook.errors import ConfigError
from hornbook.table import table
from hornbook.visible import visible

if TYPE_CHECKING:
    from hornbook.metrics.results import RunResult


def run(arguments: list[str]) -> int:
    """Trains every rung on the same split and prints one table."""
    began = time.monotonic()  # the time budget includes the import of torch
    parser = SettingsParser("ladder")
    add = parser.add_argument
    add("--rungs", metavar="A,B", help="train only these rungs")
    add("--minutes", metavar="X", help="time budget of the whole ladder, shared among the rungs")
    add("--out", metavar="DIR", type=Path, help="directory (default: runs/ladder-CORPUS)")
    add("--json", action="store_true", help="print the results as JSON")
    seeds = (w for w in arguments if w.startswith("--") and w[2:].partition("=")[0] == "seeds")
    several = next(seeds, None)
    if several is not None:
        raise ConfigError(
            f"{several}: ladder trains each rung once; to train models with several seeds: "
            "`hornbook sweep CORPUS --model gpt,mlp --seeds 1,2,3`"
        )
    args, settings = parser.read(arguments)
    if "name" in settings.get("model", {}):
        raise ConfigError(
            "model.name: found it beside ladder, which trains a model for each rung; "
            "choose rungs with --rungs"
        )
    corpus = settings.get("data", {}).pop("corpus", "names")
    minutes = None if args.minutes is None else read_word(args.minutes, "training.minutes")

    from hornbook.api import ladder as train_ladder
    from hornbook.training.callbacks.progress import Progress

    def report(result: RunResult) -> None:
        print(
            f"{result.name:>14}  validation {number(result.validation)}  "
            f"{result.seconds:.1f} s  {'  '.join(map(visible, result.samples[:5]))[:70]}",
            file=sys.stderr,
        )

    try:
        ladder = train_ladder(
            corpus,
            rungs=_names(args.rungs) if args.rungs is not None else (),
            out=args.out,
            settings={section: fields for section, fields in settings.items() if fields},
            minutes=minutes,
            began=began,
            callbacks=[Progress(brief=True)],
            report=report,
        )
    except KeyboardInterrupt as stop:
        stop.args = (
            "interrupted; finished rungs are kept, the one in training is saved. To continue:\n"
            f"  hornbook ladder {shlex.join(arguments)}".rstrip(),
        )
        raise
    if args.json:
        print_json({"standings": ladder.standings, "sentences": ladder.sentences})
        return 0
    show(ladder.labeled, ladder.sentences)
    print(f"\n{ladder.path}/ladder.png  {ladder.path}/ladder.json")
    return 0


def _names(listed: str) -> list[str]:
    names = [name.strip() for name in listed.split(",")]
    if not all(names):
        raise ConfigError(f"rungs: found {listed!r}, expected names with commas between them")
    return names


def show(standings: Sequence[RunResult], sentences: list[str]) -> None:
    """Table, sentences and samples side by side, on stdout."""
    from hornbook.metrics.results import rank, result_rows

    rows = sorted(standings, key=rank)
    print(table(result_rows(rows), right=range(1, 9)))
    print()
    for sentence in sentences:
        print(sentence)
    print()
    print(table([(row.name, *(visible(text)[:100] for text in row.samples[:5])) for row in rows]))
