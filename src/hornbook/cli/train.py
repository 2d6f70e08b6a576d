"""`hornbook train [CORPUS]`."""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from hornbook.cli.common import loss_text, old_text_rows, part_rows
from hornbook.cli.flags import SettingsParser, show_notes
from hornbook.config import Nested, read_settings
from hornbook.config.layering import override
from hornbook.errors import ConfigError, counted
from hornbook.parallel.launch import speaks
from hornbook.planning.repeat import read_config
from hornbook.runs.commands import run_command, text_to_type
from hornbook.table import table
from hornbook.visible import visible

if TYPE_CHECKING:
    from hornbook.run import Run


def run(arguments: list[str]) -> int:
    """Trains a model, or resumes a run."""
    began = time.monotonic()  # the time budget includes the import of torch
    parser = SettingsParser("train", listed=True)
    add = parser.add_argument
    add("--out", metavar="DIR", type=Path, help="directory of the run (default: under runs/)")
    add("--name", metavar="NAME", help="name of the run: its directory is runs/NAME")
    add("--preset", metavar="NAME", help="a whole configuration by name: see `hornbook presets`")
    add(
        "--config",
        metavar="FILE|RUN",
        type=Path,
        help="settings from a TOML file, or those of a run, to repeat it; flags override them",
    )
    add(
        "--resume",
        metavar="RUN",
        type=Path,
        help="continue an interrupted run, or train a finished one for more --steps",
    )
    add(
        "--exportable",
        action="store_true",
        help="with --minutes: a model that other software reads (`hornbook export`), not counts",
    )
    add("--seeds", metavar="N,N", help="train once with each seed, into DIR/seed-N, and compare")
    args, given = parser.read(arguments)
    if args.resume is not None:
        return _resume(args, given)
    out = _directory(args)
    file, sha256 = read_config(args.config)
    settings, notes = read_settings(file)
    show_notes(notes)
    if args.seeds is not None:
        from hornbook.cli.sweep import read_seeds, show_sweep, train_all

        swept = train_all(
            f"hornbook train {shlex.join(arguments)}",
            seeds=read_seeds(args.seeds),
            preset=args.preset,
            exportable=args.exportable,
            out=out,
            settings=override(settings, given),
        )
        show_sweep(swept)
        return 0

    from hornbook.api import train
    from hornbook.training.callbacks.progress import Progress

    finished = train(
        preset=args.preset,
        out=out,
        began=began,
        exportable=args.exportable,
        settings=override(settings, given),
        callbacks=[Progress(repeated=sha256)],
    )
    if speaks():
        _summary(finished)
    return 0


def _directory(args: argparse.Namespace) -> Path | None:
    """The directory of the run, by --out or by --name. Raises ConfigError."""
    out: Path | None = args.out
    if args.name is None:
        return out
    if out is not None:
        raise ConfigError("--name: found it beside --out; give one of them")
    name: str = args.name
    if not name or Path(name).name != name:
        raise ConfigError(f"--name: found {name!r}, expected a name; a path is given by --out")
    return Path("runs") / name


def _resume(args: argparse.Namespace, settings: Nested) -> int:
    for name in ("preset", "config", "out", "name", "seeds", "exportable"):
        if getattr(args, name) not in (None, False):
            raise ConfigError(
                f"--{name}: found it beside --resume; a run continues with its own settings, "
                "leave it out"
            )

    from hornbook.api import resume
    from hornbook.training.callbacks.progress import Progress

    steps = settings.get("training", {}).pop("steps", None)
    progress = Progress()
    finished = resume(args.resume, steps=steps, settings=settings, callbacks=[progress])
    if progress.started and speaks():
        _summary(finished)
    return 0


def _summary(run: Run) -> None:
    """Prints the figures of a finished run, samples, and what to do next."""
    from hornbook.runs.verdict import verdict_commands, verdict_rows

    report, data = run.report, run.config.data
    validation, samples = report["validation"], report["samples"]
    part = "validation" if data.held_out else "training text"
    rows = [(part, loss_text(validation)), *part_rows(report)]
    rows += old_text_rows(report)
    if run.documents:
        new = report["samples_new"]
        corpus = "the beginning of the corpus" if run.large else "the corpus"
        different = counted(report["samples_different"], "different sample")
        are = "is" if new == 1 else "are"
        if "answers" not in report:  # which may well be those of the training part
            rows.append(("new", f"{new} of the {different} above {are} not in {corpus}"))
        shown = [visible(s) or "(empty)" for s in samples]
        width = max(map(len, shown), default=0)
        columns = max(1, 80 // (width + 2))
        for i in range(0, len(shown), columns):
            print("  ".join(s.ljust(width) for s in shown[i : i + columns]).rstrip())
    else:
        print(*samples, sep="\n")
    if answers := report.get("answers"):
        share, prompts = answers["exact"] / answers["prompts"], answers["prompts"]
        rows.append(
            ("answers", f"{share:.1%} of {prompts} {part} prompts answered exactly (greedy)")
        )
    rows += verdict_rows(report)
    best = report["best_step"]
    if not run.model.fitted and best < report["steps"]:
        rows.append(("best", f"the weights of step {best} of {report['steps']}"))
    form = None if run.template is None else run.template.form  # whose tokens cannot be typed
    text = None if form else text_to_type(samples, sys.stdout.encoding or "utf-8")
    tested = run.documents and (data.held_out if data.test is None else data.test > 0)
    rows += [
        ("time", f"{report['seconds']:.1f} s of training"),
        ("repeatable", report["determinism"]),
        ("run", str(run.path)),
        (
            "next",
            run_command("sample", run.path, *(["-n", "20"] if run.documents else []))
            if run.template is None
            else run_command("chat", run.path),
        ),
        *([] if text is None else [("", run_command("score", run.path, text, "--tokens"))]),
        ("", run_command("eval", run.path, *(["--split", "test"] if tested else []))),
        ("", run_command("show", run.path)),
        *(("", command) for command in verdict_commands(run, report)),
    ]
    print(f"\n{table(rows)}")
