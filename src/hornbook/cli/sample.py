"""`hornbook sample RUN`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

from hornbook.cli.common import Parser, add_unknown

COPIED = "in the training part"
TRIES = 20  # at most so many times as many samples are drawn to find new ones


def run(arguments: list[str]) -> int:
    """Prints samples: documents one a line, one sample of a stream as it is generated."""
    parser = Parser("sample")
    parser.add_argument("path", metavar="RUN", help="a run directory")
    parser.add_argument(
        "-n", type=int, metavar="N", help="number of samples (default: 10 documents, 1 of a stream)"
    )
    parser.add_argument("--prompt", metavar="TEXT", default="", help="the beginning of each sample")
    parser.add_argument(
        "--max-tokens", type=int, metavar="N", default=500, help="longest sample (default: 500)"
    )
    parser.add_argument(
        "--temperature", type=float, metavar="X", default=1.0, help="0 is greedy (default: 1)"
    )
    parser.add_argument("--top-k", type=int, metavar="N", help="sample from the N likeliest tokens")
    parser.add_argument(
        "--top-p",
        type=float,
        metavar="X",
        help="sample from the fewest tokens whose probabilities add up to X",
    )
    parser.add_argument(
        "--min-p",
        type=float,
        metavar="X",
        help="sample from tokens at least X times as likely as the likeliest",
    )
    parser.add_argument(
        "--stop",
        metavar="TEXT",
        action="append",
        default=[],
        help="end before this text (repeatable)",
    )
    parser.add_argument("--seed", type=int, metavar="N", help="the same seed, the same samples")
    parser.add_argument(
        "--mark-copies",
        action="store_true",
        help="mark samples that are in the training part; reads the corpus",
    )
    parser.add_argument(
        "--new-only",
        action="store_true",
        help="leave out samples that are in the training part; reads the corpus",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")
    add_unknown(parser)
    args = parser.parse_args(arguments)

    from hornbook.api import Run
    from hornbook.generate import make_generator

    loaded = Run.load(args.path)
    options = {
        "prompt": args.prompt,
        "max_tokens": args.max_tokens,
        "temperature": args.temperature,
        "top_k": args.top_k,
        "top_p": args.top_p,
        "min_p": args.min_p,
        "stop": args.stop,
        "seed": make_generator(args.seed),
        "unknown": args.unknown,
    }
    n = args.n if args.n is not None else (10 if loaded.documents else 1)
    compared = args.mark_copies or args.new_only  # with the corpus, which is read only then
    if not loaded.documents and n == 1 and not args.json and not args.new_only:
        text = args.prompt
        sys.stdout.write(args.prompt)
        for piece in loaded.stream(**options):
            text += piece
            sys.stdout.write(piece)
            sys.stdout.flush()
        print()
        if compared and loaded.mark_copies([text])[0]:
            print(f"this text is {COPIED}", file=sys.stderr)
        return 0
    drawn = found = 0
    while drawn == 0 or (found < n and drawn < TRIES * n):
        samples = loaded.sample(n, **options)
        drawn += len(samples)
        copied = loaded.mark_copies([s.text for s in samples]) if compared else [None] * n
        for sample, copy in zip(samples, copied, strict=True):
            if found == n or (copy and args.new_only):
                continue
            found += 1
            if args.json:
                print(json.dumps({**asdict(sample), "copied": copy}, ensure_ascii=False))
            else:
                print(f"{sample.text}\t({COPIED})" if copy else sample.text)
    if found < n:
        print(f"only {found} of {drawn} samples are new; the model copies", file=sys.stderr)
    return 0
