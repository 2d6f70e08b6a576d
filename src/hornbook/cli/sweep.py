"""`hornbook sweep [CORPUS]`, and `hornbook train --seeds`."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hornbook.cli.common import note
from hornbook.cli.flags import SettingsParser, read_word, show_notes
from hornbook.config import Nested, read_settings
from hornbook.config.layering import override
from hornbook.errors import ConfigError
from hornbook.planning.repeat import read_config
from hornbook.runs.commands import run_command

if TYPE_CHECKING:
    from hornbook.experiments.sweep import Swept

RANGE = re.compile(r"[^.,\s]\S*\.\.[^.,\s]\S*")  # 1e-4..1e-2
ONE_VALUE = ("data.corpus", "data.encoding")  # commas in them are their own


def run(arguments: list[str]) -> int:
    """Trains every combination of the settings that have several values, and compares them."""
    parser = SettingsParser("sweep")
    add = parser.add_argument
    add("--seeds", metavar="N,N", help="train each setting once with each of these seeds")
    add("--trials", metavar="N", type=int, help="search: try N settings, proposed by optuna")
    add("--out", metavar="DIR", type=Path, help="directory (default: runs/sweep-CORPUS-MODEL)")
    add("--preset", metavar="NAME", help="a whole configuration by name")
    add(
        "--config",
        metavar="FILE|RUN",
        type=Path,
        help="settings from a TOML file, or those of a run; flags override them",
    )
    add("--json", action="store_true", help="print the results as JSON")
    parser.epilog = (
        "A setting that is to vary has several values, with commas between them: --lr 0.001,0.01\n"
        "--layers 2,4. With --trials it may be a range: --lr 1e-4..1e-2. The same command continues a\n"
        f"sweep that was interrupted. {parser.epilog}"
    )
    args, given = parser.read(arguments)
    file, _ = read_config(args.config)
    settings, notes = read_settings(file)
    show_notes(notes)
    settings, over = split_values(override(settings, given))
    if not over and args.seeds is None:
        raise ConfigError(
            "sweep: found no setting with several values; give some with commas between them, such "
            "as --lr 0.001,0.01, or several --seeds"
        )
    swept = train_all(
        f"hornbook sweep {shlex.join(arguments)}",
        over=over,
        seeds=read_seeds(args.seeds) if args.seeds is not None else (),
        trials=args.trials,
        preset=args.preset,
        out=args.out,
        settings=settings,
    )
    show_sweep(swept, json=args.json)
    return 0


def train_all(command: str, **arguments: Any) -> Swept:
    """`hornbook.sweep` with its progress on stderr.

    command: what to type to continue, for the message of an interruption.
    """
    from hornbook.api import sweep
    from hornbook.training.callbacks.progress import Progress

    try:
        return sweep(
            **arguments,
            callbacks=[Progress(brief=True)],
            on_message=note,
        )
    except KeyboardInterrupt as stop:
        stop.args = (
            "interrupted; finished runs are kept, the one in training is saved. To continue:\n"
            f"  {command}",
        )
        raise


def show_sweep(swept: Swept, *, json: bool = False) -> None:
    """Prints the comparison of a sweep, and what to do next."""
    from hornbook.cli.compare import show_comparison

    show_comparison(swept, json=json)
    if not json:
        print(f"\n{'runs':>6}  {swept.path}")
        if len(swept.measured) > 1:
            draw = run_command(
                "compare", swept.path, "--out", "comparison.pdf", "--curves", "curves.pdf"
            )
            print(f"{'next':>6}  {draw}")
            print(f"{'':>6}  {run_command('compare', swept.path, '--format', 'csv')}")


def read_seeds(listed: str) -> list[int]:
    """Seeds with commas between them. Raises ConfigError."""
    try:
        return [int(word) for word in listed.split(",")]
    except ValueError:
        raise ConfigError(
            f"seeds: found {listed!r}, expected whole numbers with commas between them: --seeds 1,2,3"
        ) from None


def split_values(settings: Nested) -> tuple[Nested, dict[str, Any]]:
    """Settings with one value, and those with several: a list, or a range as text.

    >>> split_values({"model": {"n_layer": "2,4"}, "optim": {"warmup": 10}})
    ({'model': {}, 'optim': {'warmup': 10}}, {'model.n_layer': [2, 4]})
    """
    single: Nested = {}
    over: dict[str, Any] = {}
    for section, fields in settings.items():
        single[section] = {}
        for field, value in fields.items():
            setting = f"{section}.{field}"
            if not isinstance(value, str) or setting in ONE_VALUE:
                single[section][field] = value
            elif "," in value:
                over[setting] = [read_word(word.strip(), setting) for word in value.split(",")]
            elif RANGE.fullmatch(value):
                over[setting] = value
            else:
                single[section][field] = value
    return single, over
