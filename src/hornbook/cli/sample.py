"""`hornbook sample RUN`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from hornbook.cli.common import Parser, add_unknown

if TYPE_CHECKING:
    from hornbook.api import Run

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
    copied = copies(loaded) if args.mark_copies or args.new_only else None
    if not loaded.documents and n == 1 and not args.json and not args.new_only:
        text = args.prompt
        sys.stdout.write(args.prompt)
        for piece in _stream(loaded, **options):
            text += piece
            sys.stdout.write(piece)
            sys.stdout.flush()
        print()
        if copied is not None and copied(text):
            print(f"this text is {COPIED}", file=sys.stderr)
        return 0
    drawn = found = 0
    while drawn == 0 or (found < n and drawn < TRIES * n):
        for sample in loaded.sample(n, **options):
            drawn += 1
            copy = copied is not None and copied(sample.text)
            if found == n or (copy and args.new_only):
                continue
            found += 1
            if args.json:
                marked = {**asdict(sample), "copied": copy if copied is not None else None}
                print(json.dumps(marked, ensure_ascii=False))
            else:
                print(f"{sample.text}\t({COPIED})" if copy else sample.text)
    if found < n:
        print(f"only {found} of {drawn} samples are new; the model copies", file=sys.stderr)
    return 0


def copies(run: Run) -> Callable[[str], bool]:
    """Whether a text is in the training part: a whole document, or a stretch of the stream.

    Reads the corpus. Raises DataError where it is gone or has changed.
    """
    split = run.split()
    if split.documents:
        return frozenset(split.train).__contains__
    return lambda text: text in split.train[0]


def _stream(run: Run, **options: Any) -> Iterator[str]:
    """The first of `Run.sample`'s samples piece by piece, without its prompt."""
    from hornbook.generate import Sampling, stream

    names = ("temperature", "top_k", "top_p", "min_p")
    sampling = Sampling(**{name: options.pop(name) for name in names})
    seed = options.pop("seed")
    return stream(run.model, run.tokenizer, sampling=sampling, generator=seed, **options)
