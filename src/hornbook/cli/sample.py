"""`hornbook sample RUN`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

from hornbook.cli.common import Parser, add_unknown
from hornbook.errors import HornbookError

if TYPE_CHECKING:
    from hornbook.api import Run
    from hornbook.metrics.text_index import TextIndex

COPIED = "in the training part"
TRIES = 20  # times as many samples are drawn at most to find new ones


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
    parser.add_argument(
        "--new-only", action="store_true", help="leave out what stands in the training part"
    )
    parser.add_argument("--seed", type=int, help="the same seed, the same samples")
    parser.add_argument("--json", action="store_true", help="one object a line")
    add_unknown(parser)
    args = parser.parse_args(arguments)

    from hornbook.api import Run
    from hornbook.generate import Sampling, sample, stream
    from hornbook.generate.sampling import make_generator

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
    training = _training(loaded, needed=args.new_only)
    if not loaded.documents and n == 1 and not args.json and not args.new_only:
        text = args.prompt
        sys.stdout.write(args.prompt)
        for piece in stream(loaded.model, loaded.tokenizer, **options):
            text += piece
            sys.stdout.write(piece)
            sys.stdout.flush()
        print()
        if training is not None and text in training:
            print(f"this stands {COPIED}", file=sys.stderr)
        return 0
    drawn = found = 0
    while drawn == 0 or (found < n and drawn < TRIES * n):
        for made in sample(loaded.model, loaded.tokenizer, n=n, **options):
            drawn += 1
            copied = training is not None and made.text in training
            if found == n or (copied and args.new_only):
                continue
            found += 1
            if args.json:
                marked = {**asdict(made), "copied": copied if training is not None else None}
                print(json.dumps(marked, ensure_ascii=False))
            else:
                print(f"{made.text}\t({COPIED})" if copied else made.text)
    if found < n:
        print(f"only {found} of {drawn} samples are new; the model copies", file=sys.stderr)
    return 0


def _training(run: Run, *, needed: bool) -> TextIndex | None:
    """The training part to look for copies in; None, and said so, where the corpus is gone."""
    from hornbook.metrics.text_index import TextIndex

    try:
        return TextIndex(run.split())
    except HornbookError as error:
        if needed:
            raise
        print(f"copies are not marked: {error}", file=sys.stderr)
        return None
