"""`hornbook sample RUN`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from hornbook.cli.common import Parser, add_part, add_unknown, load_run, note, print_json
from hornbook.cli.flags import add_setting
from hornbook.errors import counted
from hornbook.visible import visible

if TYPE_CHECKING:
    from hornbook.run import Run

BETWEEN = "---"  # a line between samples of a stream
TRIES = 20  # at most so many times as many samples are drawn to find new ones


def run(arguments: list[str]) -> int:
    """Prints samples: documents one a line; those of a stream with a line between them, a single one
    as it is generated."""
    parser = Parser("sample")
    add = parser.add_argument
    add("path", metavar="RUN", help="a run directory")
    add(
        "-n",
        "--n",
        type=int,
        metavar="N",
        help="number of samples (default: 10 documents, 1 of a stream); those of a stream have a "
        f"line {BETWEEN} between them",
    )
    add("--prompt", metavar="TEXT", default="", help="the beginning of each sample")
    add("--max-tokens", type=int, metavar="N", help="longest sample (default: 500)")
    add("--temperature", type=float, metavar="X", help="0 is greedy (default: 1)")
    add("--top-k", type=int, metavar="N", help="sample from the N likeliest tokens")
    add(
        "--top-p",
        type=float,
        metavar="X",
        help="sample from the fewest tokens whose probabilities add up to X",
    )
    add(
        "--min-p",
        type=float,
        metavar="X",
        help="sample from tokens at least X times as likely as the likeliest",
    )
    add("--stop", metavar="TEXT", action="append", help="end before this text (repeatable)")
    add("--seed", type=int, metavar="N", help="the same seed, the same samples")
    add_setting(parser, "generation.sampling")
    add_setting(parser, "generation.window")
    add(
        "--mark-copies",
        action="store_true",
        help="say on stderr which samples are in the training part; reads the corpus",
    )
    add(
        "--new-only",
        action="store_true",
        help="leave out samples that are in the training part; reads the corpus",
    )
    add("--json", action="store_true", help="print one JSON object a line")
    add_part(parser)
    add_unknown(parser)
    parser.set_defaults(max_tokens=500, temperature=1.0, stop=[])
    args = parser.parse_args(arguments)

    from hornbook.generate import make_generator

    loaded = load_run(args.path, args.part)
    names = ("prompt", "max_tokens", "temperature", "top_k", "top_p", "min_p", "stop", "unknown",
             "sampling", "window")  # fmt: skip
    options = {name: getattr(args, name) for name in names}
    options["seed"] = make_generator(args.seed)
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
        if compared:
            _note_copies(loaded, [(text, loaded.mark_copies([text])[0])])
        return 0
    drawn, kept = 0, list[tuple[str, bool | None]]()
    while drawn == 0 or (len(kept) < n and drawn < TRIES * n):
        samples = loaded.sample(n, **options)
        drawn += len(samples)
        copied = loaded.mark_copies([s.text for s in samples]) if compared else [None] * n
        for sample, copy in zip(samples, copied, strict=True):
            if len(kept) == n or (copy and args.new_only):
                continue
            if args.json:
                print_json({**asdict(sample), "copied": copy})
            else:
                if kept and not loaded.documents:
                    print(BETWEEN)
                print(sample.text)
            kept.append((sample.text, copy))
    if args.mark_copies and not args.json:
        _note_copies(loaded, kept)
    if len(kept) < n:
        note(f"only {len(kept)} of {counted(drawn, 'sample')} new; the model copies")
    return 0


def _note_copies(run: Run, samples: Sequence[tuple[str, bool | None]]) -> None:
    """Says on stderr which samples are in the training part: stdout has their texts alone."""
    copies = [(i, text) for i, (text, copy) in enumerate(samples, 1) if copy]
    if len(samples) == 1:
        note(f"the sample is {'' if copies else 'not '}in the training part")
        return
    line = f"{len(copies)} of {len(samples)} samples in the training part"
    if copies and run.documents:
        line += ": " + ", ".join(f"{i} ({visible(text[:40])})" for i, text in copies)
    elif copies:
        line += ": " + ", ".join(str(i) for i, _ in copies)
    note(line)
