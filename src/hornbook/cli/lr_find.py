"""`hornbook lr-find [CORPUS] --model M`."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hornbook.cli.common import check_picture, table, write_picture
from hornbook.cli.flags import SettingsParser, show_notes
from hornbook.errors import ConfigError

if TYPE_CHECKING:
    from hornbook.experiments.lr_finder import Sweep


def run(arguments: list[str]) -> int:
    """Prints a learning rate, the curve of the sweep, and the losses of three learning rates."""
    parser = SettingsParser("lr-find")
    parser.option("--preset", "NAME", "a whole configuration by name")
    parser.option("--low", "X", "lowest learning rate (default: 0.001)", type=float, default=1e-3)
    parser.option("--high", "X", "highest learning rate (default: 1)", type=float, default=1.0)
    parser.option("--sweep-steps", "N", "steps of the sweep (default: 300)", type=int, default=300)
    parser.option("--out", "FILE", "draw the sweep as FILE.png or FILE.svg", type=Path)
    parser.option("--json", "", "print one JSON object", action="store_true")
    args, given = parser.read(arguments)
    for name in sorted({"minutes", "steps"} & given.sections.get("training", {}).keys()):
        raise ConfigError(
            f"training.{name}: found it beside lr-find, which takes --sweep-steps; leave it out"
        )
    check_picture(args.out)
    show_notes(given.notes)

    from hornbook.experiments.lr_finder import find_learning_rate
    from hornbook.planning.request import read_request
    from hornbook.planning.resolve import resolve

    plan = resolve(read_request(preset=args.preset, settings=given.sections))
    sweep = find_learning_rate(plan, low=args.low, high=args.high, steps=args.sweep_steps)
    if args.out is not None:
        from hornbook.figures.losses import lr_sweep

        write_picture(args.out, lr_sweep(sweep.rates, sweep.losses, sweep.best))
        print(f"drawn: {args.out}", file=sys.stderr)
    if args.json:
        print(json.dumps(sweep.to_json()))
        return 0
    from hornbook.cli.show import plot

    points = [
        {"step": i + 1, "loss": min(loss, 2 * sweep.losses[0])}
        for i, loss in enumerate(sweep.losses)
        if math.isfinite(loss)
    ]
    low, high = (f"{rate:.3g}" for rate in (sweep.rates[0], sweep.rates[max(len(points) - 1, 0)]))
    curve = plot(points, legend=". loss of each batch", ends=(low, f"{high} learning rate (log)"))
    print(f"sweep from {args.low:g} to {args.high:g}:")
    print(curve or "(no curve)")
    if len(points) < len(sweep.losses):
        diverging = sweep.rates[len(points)]
        print(f"diverged at step {len(points) + 1}, learning rate {diverging:.3g}")
    if sweep.suggested is not None:
        rows = [(f"{rate:.3g}", _in_words(loss)) for rate, loss in sweep.confirmed]
        print(f"\nthe sweep suggests {sweep.suggested:.3g}; losses after {args.sweep_steps} steps:")
        print(table([("learning rate", "loss"), *rows], right=(0, 1)))
    print(f"\n{_advice(sweep, args.low)}")
    return 0


def _advice(sweep: Sweep, low: float) -> str:
    if sweep.best is None:
        if sweep.diverged:
            return f"every learning rate diverged; sweep lower ones (--high {low:g})"
        return (
            f"no learning rate reached a loss below the initial one ({sweep.losses[0]:.4f}); "
            "sweep others (--low, --high), or longer (--sweep-steps)"
        )
    advice = f"best: --optim.learning-rate {sweep.best:.2g}"
    if sweep.muon is not None:  # the sweep scales both learning rates
        advice += f" --optim.muon-learning-rate {sweep.best * sweep.muon:.2g}"
    if sweep.best != sweep.suggested:
        advice += (
            "\nthe confirmation disagrees with the sweep: try more learning rates in its direction"
        )
    return advice


def _in_words(loss: float) -> str:
    """The loss at a learning rate."""
    return f"{loss:.4f}" if math.isfinite(loss) else "diverged"
