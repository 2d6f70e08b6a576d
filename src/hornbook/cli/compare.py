"""`hornbook compare RUN RUN ...`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hornbook.cli.common import Parser, check_picture, note, print_json, write_picture
from hornbook.stages import stage
from hornbook.table import table
from hornbook.visible import visible

if TYPE_CHECKING:
    from hornbook.experiments.comparison import Comparison

SHOWN = 5  # samples of a run
WIDTH = 100  # characters of them


def run(arguments: list[str]) -> int:
    """Prints runs side by side, and whether their differences are significant."""
    parser = Parser("compare")
    add = parser.add_argument
    add("paths", nargs="+", metavar="RUN", help="run directories, or directories of runs")
    add("--out", type=Path, metavar="FILE", help="also draw it: FILE.png, FILE.svg or FILE.pdf")
    add("--curves", type=Path, metavar="FILE", help="also draw the loss curves, one over the other")
    add(
        "--format",
        choices=("text", "csv", "markdown", "latex"),
        default="text",
        help="text, or the table alone: csv has one run a row, unrounded (default: text)",
    )
    add("--json", action="store_true", help="as JSON")
    args = parser.parse_args(arguments)
    check_picture(args.out)
    check_picture(args.curves)

    from hornbook.api import compare

    found = compare(args.paths, on_message=note)
    for line in found.skipped:
        note(line)
    if args.out is not None:
        from hornbook.figures.comparison import comparison

        rows = [group.result for group in found.groups]
        with stage("drawing the comparison"):
            figure = comparison(rows, "Comparison", found.groups, found.differences)
            write_picture(args.out, figure)
    if args.curves is not None:
        from hornbook.figures.losses import curves

        with stage("drawing the loss curves"):
            write_picture(args.curves, curves(found.groups))
    if args.json or args.format == "text":
        show_comparison(found, json=args.json)
    else:
        print(found.table(args.format), end="")
        for sentence in found.sentences:
            note(sentence)
    return 0


def show_comparison(found: Comparison, *, json: bool = False) -> None:
    """Tables, sentences and samples side by side, on stdout; or all figures as JSON."""
    if json:
        print_json(found.to_json())
        return
    from hornbook.metrics.results import rank, result_rows
    from hornbook.metrics.tables import MOST_SETTINGS, group_rows, setting_names

    names = setting_names(found.groups)
    if found.has_seeds:
        rows_of_groups = group_rows(found.groups)
        print(table(rows_of_groups, right=range(1, len(rows_of_groups[0]))))
        print("(means over the seeds; ± is the standard error, over the text and the seeds)\n")
    print(table(result_rows(found.results), right=range(1, 9)))
    print()
    if names and (not found.has_seeds or len(names) > MOST_SETTINGS):
        print("settings that differ:")
        print(*(f"  {line}" for line in found.setting_lines), sep="\n", end="\n\n")
    print(*found.sentences, sep="\n", end="\n\n")
    results = [group.result for group in found.groups] if found.has_seeds else found.results
    print(table((r.name, *_shown(r.samples[:SHOWN])) for r in sorted(results, key=rank)))


def _shown(samples: Sequence[str]) -> list[str]:
    """Samples on one line, cut where they are long: together WIDTH characters at most."""
    width = WIDTH // max(1, len(samples))
    texts = map(visible, samples)
    return [text if len(text) <= width else f"{text[: width - 3]}..." for text in texts]
