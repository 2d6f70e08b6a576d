"""`hornbook lr-find [CORPUS] --model M`."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hornbook.cli.common import Parser, check_picture, split_dotted, table, write_picture
from hornbook.config import parse_overrides
from hornbook.errors import ConfigError

if TYPE_CHECKING:
    from hornbook.experiments.lr_finder import Sweep


def run(arguments: list[str]) -> int:
    """Prints a learning rate, the sweep's curve and a confirmation at three rates."""
    rest, dotted = split_dotted(arguments)
    parser = Parser("lr-find")
    parser.add_argument("corpus", nargs="?", help="(default: names)")
    parser.add_argument("--model", help="(default: gpt)")
    parser.add_argument("--preset", help="a whole configuration by name")
    parser.add_argument("--low", type=float, default=1e-3, help="lowest rate (default: 0.001)")
    parser.add_argument("--high", type=float, default=1.0, help="highest rate (default: 1)")
    parser.add_argument("--updates", type=int, default=300, help="of the sweep (default: 300)")
    parser.add_argument("--out", type=Path, help="a picture of it: FILE.png or FILE.svg")
    parser.add_argument("--json", action="store_true", help="as one JSON object")
    args = parser.parse_args(rest)
    check_picture(args.out)

    from hornbook.experiments.lr_finder import find_learning_rate
    from hornbook.planning.request import read_request
    from hornbook.planning.resolve import resolve

    settings = parse_overrides(dotted)
    if "minutes" in settings.get("training", {}):
        raise ConfigError(
            "training.minutes: found it beside lr-find, which makes --updates; leave it out"
        )
    plan = resolve(
        read_request(args.corpus, model=args.model, preset=args.preset, settings=settings)
    )
    sweep = find_learning_rate(plan, low=args.low, high=args.high, steps=args.updates)
    if args.out is not None:
        from hornbook.figures.learning import lr_sweep

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
        print(f"diverged at update {len(points) + 1}, rate {sweep.rates[len(points)]:.3g}")
    if sweep.suggested is not None:
        rows = [(f"{rate:.3g}", _in_words(loss)) for rate, loss in sweep.confirmed]
        print(f"\nthe sweep suggests {sweep.suggested:.3g}; tried for {args.updates} updates each:")
        print(table([("rate", "loss"), *rows], right=(0, 1)))
    print(f"\n{_advice(sweep, args.low)}")
    return 0


def _advice(sweep: Sweep, low: float) -> str:
    if sweep.best is None:
        if sweep.diverged:
            return f"every rate diverged: no rate is suggested; sweep lower ones (--high {low:g})"
        return (
            f"no rate came below the loss it began with ({sweep.losses[0]:.4f}): none is suggested; "
            "sweep others (--low, --high), or longer (--updates)"
        )
    advice = f"best: --optim.learning-rate {sweep.best:.2g}"
    if sweep.muon is not None:  # the sweep moved both, as they stand to each other
        advice += f" --optim.muon-learning-rate {sweep.best * sweep.muon:.2g}"
    if sweep.best != sweep.suggested:
        advice += "\nthe confirmation disagrees with the sweep: look further in its direction"
    return advice


def _in_words(loss: float) -> str:
    """The loss of a rate that was tried."""
    return f"{loss:.4f}" if math.isfinite(loss) else "diverged"
