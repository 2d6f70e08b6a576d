"""`hornbook mix RUN RUN ... --out DIR`."""

from __future__ import annotations

from pathlib import Path

from hornbook.cli.common import Parser, loss_text, print_json
from hornbook.errors import ConfigError
from hornbook.table import table


def run(arguments: list[str]) -> int:
    """Makes one run of several, or of one and counts, whose probabilities are averaged."""
    parser = Parser("mix")
    parser.add_argument("paths", nargs="+", metavar="RUN", help="run directories")
    parser.add_argument(
        "--counts",
        type=int,
        metavar="ORDER",
        help="also mix n-gram counts of this order of the same text, as the last member",
    )
    parser.add_argument(
        "--weights", help="one for each member, with commas between (default: equal)"
    )
    parser.add_argument("--out", type=Path, required=True, help="directory of the new run")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args(arguments)
    try:
        weights = [float(word) for word in args.weights.split(",")] if args.weights else []
    except ValueError:
        raise ConfigError(f"weights: found {args.weights!r}, expected numbers: 0.7,0.3") from None

    from hornbook.api import load, mix

    runs = [load(path) for path in args.paths]
    mixed = mix(runs, args.out, weights, counts=args.counts)
    losses = {str(r.path): r.report.get("validation", {}) for r in (*runs, mixed)}
    if args.json:
        names = ("nats", "bits_per_byte")
        found = {n: {path: each.get(n) for path, each in losses.items()} for n in names}
        print_json({"run": str(mixed.path), **found})
        return 0
    print(table([(path, loss_text(each, error=False)) for path, each in losses.items()]))
    return 0
