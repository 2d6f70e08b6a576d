"""`hornbook push RUN user/name`."""

from __future__ import annotations

from hornbook.cli.common import Parser, print_json


def run(arguments: list[str]) -> int:
    """Uploads a run in the form of transformers, and prints the address."""
    parser = Parser("push")
    parser.add_argument("path", metavar="RUN", help="a run directory")
    parser.add_argument("repository", metavar="USER/NAME", help="the repository; made if missing")
    parser.add_argument("--dtype", help="of the weights: f32 (the default), f16 or bf16")
    parser.add_argument("--private", action="store_true", help="visible to yourself alone")
    parser.add_argument("--no-verify", action="store_true", help="do not compare before")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args(arguments)

    from hornbook.run import Run

    address = Run.load(args.path).push(
        args.repository, dtype=args.dtype, private=args.private, verify=not args.no_verify
    )
    if args.json:
        print_json({"address": address})
    else:
        print(address)
    return 0
