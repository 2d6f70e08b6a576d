"""`hornbook lr-find [CORPUS] --model M`."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hornbook.cli.common import check_picture, print_json, write_picture
from hornbook.cli.flags import SettingsParser
from hornbook.config.sections import LENGTHS
from hornbook.errors import ConfigError
from hornbook.table import table

if TYPE_CHECKING:
    from hornbook.experiments.lr_finder import LearningRateSweep


def run(arguments: list[str]) -> int:
    """Prints a learning rate, the curve of the sweep, and the losses of three learning rates."""
    parser = SettingsParser("lr-find")
    add = parser.add_argument
    add("--preset", metavar="NAME", help="a whole configuration by name")
    add("--low", type=float, metavar="X", help="lowest learning rate (default: 0.001)")
    add("--high", type=float, metavar="X", help="highest learning rate (default: 1)")
    add("--sweep-steps", type=int, metavar="N", help="steps of the sweep (default: 300)")
    add("--out", metavar="FILE", type=Path, help="draw the sweep as FILE.png, FILE.svg or FILE.pdf")
    add("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(low=1e-3, high=1.0, sweep_steps=300)
    args, settings = parser.read(arguments)
    for name in sorted({*LENGTHS} & settings.get("training", {}).keys()):
        raise ConfigError(
            f"training.{name}: found it beside lr-find, which takes --sweep-steps; leave it out"
        )
    check_picture(args.out)

    from hornbook.api import lr_find

    print(
        f"a sweep of {args.sweep_steps} steps, then three trials of as many",
        file=sys.stderr,
        flush=True,
    )
    sweep = lr_find(
        preset=args.preset,
        settings=settings,
        low=args.low,
        high=args.high,
        steps=args.sweep_steps,
    )
    if args.out is not None:
        from hornbook.figures.losses import lr_sweep

        write_picture(args.out, lr_sweep(sweep.rates, sweep.losses, sweep.best))
        print(f"drawn: {args.out}", file=sys.stderr)
    if args.json:
        print_json(sweep.to_json())
        return 0
    from hornbook.cli.show import plot
    from hornbook.experiments.lr_finder import tail_of

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
        rows = [
            (f"{rate:.3g}", f"{loss:.4f}" if math.isfinite(loss) else "diverged")
            for rate, loss in sweep.confirmed
        ]
        tail = tail_of(args.sweep_steps)
        print(
            f"\nthe sweep suggests {sweep.suggested:.3g}; training losses of three trials, one seed: "
            f"the mean of the last {tail} of {args.sweep_steps} steps:"
        )
        print(table([("learning rate", "loss"), *rows], right=(0, 1)))
    print(f"\n{_advice(sweep, args.low)}")
    return 0


def _advice(sweep: LearningRateSweep, low: float) -> str:
    if sweep.best is None:
        if sweep.diverged:
            return f"every learning rate diverged; sweep lower ones (--high {low:g})"
        return (
            f"no learning rate reached a loss below the initial one ({sweep.losses[0]:.4f}); "
            "sweep others (--low, --high), or longer (--sweep-steps)"
        )
    advice = f"best: --optim.learning-rate {sweep.best:.3g}"
    if sweep.muon is not None:  # the sweep scales both learning rates
        advice += f" --optim.muon-learning-rate {sweep.best * sweep.muon:.3g}"
    assert sweep.suggested is not None
    if sweep.best != sweep.suggested:
        higher = sweep.best > sweep.suggested
        end, beyond = ("highest", "higher") if higher else ("lowest", "lower")
        advice += (
            f"\nthe {end} of the three has the lowest loss, so {beyond} ones may be better still: "
            f"train with --optim.learning-rate {sweep.best * (2 if higher else 0.5):.3g} too"
        )
    return advice
