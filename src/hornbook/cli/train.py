"""`hornbook train [CORPUS]`."""

from __future__ import annotations

import argparse
import shlex
import time
from pathlib import Path

from hornbook.cli.common import number, table, visible, with_error
from hornbook.cli.flags import SettingsParser, show_notes
from hornbook.config import Nested, merge, read_settings, read_toml
from hornbook.errors import ConfigError
from hornbook.files import user_path


def run(arguments: list[str]) -> int:
    """Trains a model, or resumes a run."""
    began = time.monotonic()  # the time budget includes the import of torch
    args, given = _parser().read(arguments)
    if args.resume is not None:
        show_notes(given.notes)
        return _resume(args, given.sections)
    file = read_toml(user_path(args.config, ConfigError)) if args.config is not None else {}
    settings, notes = read_settings(file)
    show_notes(notes + given.notes)

    from hornbook.api import train
    from hornbook.cli.progress import Progress

    finished = train(
        preset=args.preset,
        out=args.out,
        began=began,
        settings=merge(settings, given.sections),
        callbacks=[Progress()],
    )
    _summary(finished.path)
    return 0


def _resume(args: argparse.Namespace, settings: Nested) -> int:
    for name in ("preset", "config", "out"):
        if getattr(args, name) is not None:
            raise ConfigError(
                f"--{name}: found it beside --resume; a run continues with its own settings, "
                "leave it out"
            )

    from hornbook.api import resume
    from hornbook.cli.progress import Progress

    steps = settings.get("training", {}).pop("steps", None)
    settings = {section: fields for section, fields in settings.items() if fields}
    finished = resume(args.resume, steps=steps, settings=settings, callbacks=[Progress()])
    _summary(finished.path)
    return 0


def _summary(path: Path) -> None:
    """Prints the figures of a finished run, samples, and what to do next."""
    from hornbook.api import load

    run = load(path)
    report = run.report
    validation, samples = report["validation"], report["samples"]
    rows = [
        (
            "validation" if run.config.data.held_out else "training text",
            f"{with_error(validation['nats'], validation['standard_error'])} nats per token, "
            f"{number(validation['bits_per_byte'])} bits per byte",
        )
    ]
    if run.documents:
        corpus = "the beginning of the corpus" if run.large else "the corpus"
        rows.append(
            (
                "new",
                f"{report['samples_new']} of the {report['samples_different']} different samples "
                f"above are not in {corpus}",
            )
        )
        shown = [visible(s) or "(empty)" for s in samples]
        width = max(map(len, shown), default=0)
        columns = max(1, 80 // (width + 2))
        for i in range(0, len(shown), columns):
            print("  ".join(s.ljust(width) for s in shown[i : i + columns]).rstrip())
    else:
        print(*samples, sep="\n")
    rows.append(("verdict", report["novelty"]["verdict"]))
    best = report["best_step"]
    if not run.model.fitted and best < report["steps"]:
        rows.append(("best", f"the weights of step {best} of {report['steps']}"))
    first = samples[0] if samples and samples[0] and run.documents else "some text"
    data = run.config.data
    tested = run.documents and (data.held_out if data.test is None else data.test > 0)
    place = shlex.quote(str(path))
    rows += [
        ("time", f"{report['seconds']:.1f} s of training"),
        ("repeatable", report["determinism"]),
        ("run", str(path)),
        ("next", f"hornbook sample {place} -n 20"),
        ("", f"hornbook score {place} {shlex.quote(visible(first[:40]))} --tokens"),
        ("", f"hornbook eval {place}" + (" --split test" if tested else "")),
        ("", f"hornbook show {place}"),
    ]
    print()
    print(table(rows))


def _parser() -> SettingsParser:
    parser = SettingsParser("train", listed=True)
    parser.option(
        "--out", "DIR", "directory of the run (default: under runs/)", type=Path, common=True
    )
    parser.option("--preset", "NAME", "a whole configuration by name, see below")
    parser.option("--config", "FILE", "settings from a TOML file; flags override it", type=Path)
    parser.option(
        "--resume",
        "RUN",
        "continue an interrupted run, or train a finished one for more --steps",
        type=Path,
    )
    return parser
