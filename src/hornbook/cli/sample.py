"""`hornbook sample RUN`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

from hornbook.cli.common import Parser, add_unknown


def run(arguments: list[str]) -> int:
    """Prints samples: documents one a line, a stream as it is written."""
    parser = Parser("sample")
    parser.add_argument("path", metavar="RUN", help="a run directory")
    parser.add_argument("-n", type=int, help="how many (default: 10 documents, 1 of a stream)")
    parser.add_argument("--prompt", default="", help="how each begins")
    parser.add_argument("--max-tokens", type=int, default=500, help="longest (default: 500)")
    parser.add_argument("--temperature", type=float, default=1.0, help="0 is greedy (default: 1)")
    parser.add_argument("--top-k", type=int, help="draw from the k most probable")
    parser.add_argument("--top-p", type=float, help="draw from the fewest that hold this share")
    parser.add_argument("--min-p", type=float, help="draw from what is this share of the best")
    parser.add_argument(
        "--stop", action="append", default=[], help="end before this text (may be given again)"
    )
    parser.add_argument("--seed", type=int, help="the same seed, the same samples")
    parser.add_argument("--json", action="store_true", help="one object a line")
    add_unknown(parser)
    args = parser.parse_args(arguments)

    from hornbook.generate import Sampling, sample, stream
    from hornbook.run import Run, make_generator

    sampling = Sampling(
        temperature=args.temperature, top_k=args.top_k, top_p=args.top_p, min_p=args.min_p
    )
    loaded = Run.load(args.path)
    options = {
        "prompt": args.prompt,
        "max_tokens": args.max_tokens,
        "sampling": sampling,
        "stop": args.stop,
        "generator": make_generator(args.seed),
        "unknown": args.unknown,
    }
    n = args.n if args.n is not None else (10 if loaded.documents else 1)
    if not loaded.documents and n == 1 and not args.json:
        sys.stdout.write(args.prompt)
        for piece in stream(loaded.model, loaded.tokenizer, **options):
            sys.stdout.write(piece)
            sys.stdout.flush()
        print()
        return 0
    for made in sample(loaded.model, loaded.tokenizer, n=n, **options):
        print(json.dumps(asdict(made), ensure_ascii=False) if args.json else made.text)
    return 0
