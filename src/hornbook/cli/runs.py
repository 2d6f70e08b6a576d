"""`hornbook runs [DIR]`: a table of runs; `--remove NAME` removes some."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from hornbook.cli.common import Parser, note, number, print_json
from hornbook.errors import ConfigError, counted, did_you_mean
from hornbook.runs.commands import run_command
from hornbook.runs.listing import RunSummary, check_removable, list_runs, remove_run
from hornbook.table import table
from hornbook.visible import visible

SORTED: dict[str, Callable[[RunSummary], Any]] = {
    "date": lambda run: run.created,
    "loss": lambda run: (run.nats is None, run.nats or 0.0, run.created),
    "name": lambda run: run.name,
    "model": lambda run: (run.model, run.created),
    "corpus": lambda run: (run.corpus, run.created),
}


def run(arguments: list[str]) -> int:
    """Prints a table of the runs in a directory, or removes runs."""
    parser = Parser("runs")
    add = parser.add_argument
    add("folder", nargs="?", metavar="DIR", default="runs", help="a directory (default: runs)")
    add("--sort", choices=SORTED, default="date", help=f"{', '.join(SORTED)} (default: date)")
    add("--reverse", action="store_true", help="in the opposite order")
    add("--remove", metavar="NAME", action="append", help="remove this run (repeatable)")
    add("--yes", action="store_true", help="remove without asking")
    add("--json", action="store_true", help="print one JSON object a line")
    args = parser.parse_args(arguments)
    if args.remove:
        return _remove(Path(args.folder), args.remove, yes=args.yes)
    if args.yes:
        raise ConfigError("--yes: found it without --remove; leave it out, or name a run")
    if args.folder == "runs" and not Path(args.folder).exists():
        print("no runs yet; to begin: hornbook train", file=sys.stderr)
        return 0
    if (Path(args.folder) / "config.json").is_file():
        raise ConfigError(
            f"{args.folder}: is a run, expected a directory of runs; to see it: "
            f"{run_command('show', args.folder)}"
        )
    found, others = list_runs(args.folder)
    found.sort(key=SORTED[args.sort], reverse=args.reverse)
    if args.json:
        for summary in found:
            print_json({**asdict(summary), "path": str(summary.path)})
    elif found:
        head = ("run", "model", "parameters", "corpus", "nats/token", "bits/byte", "date", "state")
        print(table([head, *map(_row, found)], right=(2, 4, 5)))
        if args.sort == "loss" and len({s.sha256 for s in found if not s.imported}) > 1:
            print("\nlosses on different corpora cannot be compared")
    else:
        print(f"{args.folder}: no runs", file=sys.stderr)
    for line in others:
        note(f"left out: {line}")
    return 0


def _row(run: RunSummary) -> Sequence[str]:
    created = datetime.fromisoformat(run.created).astimezone()
    measured = run.finished and not run.imported
    state = f"finished, {counted(run.steps, 'step')}"
    if run.imported:
        state = "imported"
    elif not run.finished:
        state = f"{run.steps:,} of {counted(run.total_steps, 'step')}"
        state += ", in training" if run.held else ", not finished"
    return (
        visible(run.name),
        run.model,
        f"{run.n_parameters:,}",
        visible(run.corpus),
        number(run.nats) if measured else "",
        number(run.bits_per_byte) if measured else "",
        f"{created:%Y-%m-%d %H:%M}",
        state,
    )


def _remove(folder: Path, names: Sequence[str], *, yes: bool) -> int:
    """Removes runs after all of them were checked, and the user has agreed."""
    paths = [folder / name if (folder / name).exists() else Path(name) for name in names]
    for path, name in zip(paths, names, strict=True):
        if not path.exists() and folder.is_dir():
            known = [summary.name for summary in list_runs(folder)[0]]
            raise ConfigError(f"--remove: found no {name!r} in {folder}{did_you_mean(name, known)}")
        check_removable(path)
    if not yes:
        if not sys.stdin.isatty():
            raise ConfigError("--remove: found no terminal to ask on; add --yes to remove anyway")
        print(*paths, sep="\n", file=sys.stderr)
        print(f"remove {counted(len(paths), 'run')} for good? [y/N] ", end="", file=sys.stderr)
        sys.stderr.flush()
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            print("nothing was removed", file=sys.stderr)
            return 1
    for path in paths:
        remove_run(path)
        print(f"removed {path}")
    return 0
