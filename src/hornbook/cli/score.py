"""`hornbook score RUN [TEXT ...]`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

from hornbook.cli.common import Parser, add_unknown, table, visible
from hornbook.errors import DataError

if TYPE_CHECKING:
    from hornbook.api import Run
    from hornbook.metrics.loss import Score
    from hornbook.tokenizers.base import Unknown

BATCH = 1000  # lines scored together
MARKED = 2.0  # a token is marked where it costs so many times the mean of its text
LONGEST_BAR = 15.0  # nats; what is held impossible costs infinitely many


def run(arguments: list[str]) -> int:
    """Prints how surprising a run finds each text."""
    parser = Parser("score")
    parser.add_argument("path", metavar="RUN", help="a run directory")
    parser.add_argument("texts", nargs="*", metavar="TEXT", help="(default: lines from stdin)")
    parser.add_argument("--tokens", action="store_true", help="each token's own nats")
    parser.add_argument("--json", action="store_true", help="one object a line")
    parser.add_argument(
        "--encoding", help="of stdin (default: what a byte order mark says, else utf-8)"
    )
    add_unknown(parser)
    args = parser.parse_args(arguments)

    from hornbook.api import Run
    from hornbook.files import dump

    loaded = Run.load(args.path)
    texts = iter(args.texts or _lines(args.encoding))
    found, first = False, 1
    while batch := list(islice(texts, BATCH)):
        for scored in _scored(loaded, batch, first, args.unknown):
            if args.json:
                print(dump(_object(scored, tokens=args.tokens)))
            else:
                _show(scored, tokens=args.tokens, header=not found)
            found = True
        first += len(batch)
    if not found:
        raise DataError("stdin: found no text to score; give TEXT or lines")
    return 0


def _scored(run: Run, texts: list[str], first: int, unknown: Unknown) -> Iterator[Score]:
    """The scores of texts; where one cannot be scored, those before it, then which one it was."""
    try:
        yield from run.score(texts, unknown=unknown)
    except DataError:
        for number, text in enumerate(texts, first):
            try:
                yield from run.score(text, unknown=unknown)
            except DataError as error:
                raise DataError(f"text {number}: {error}") from None


def _lines(encoding: str | None) -> Iterator[str]:
    from hornbook.data.reading import lines_of

    raw = getattr(sys.stdin, "buffer", None)
    chunks = (line.encode() for line in sys.stdin) if raw is None else iter(raw.readline, b"")
    return filter(None, lines_of(chunks, encoding, "stdin"))


def _object(scored: Score, *, tokens: bool) -> dict[str, object]:
    result: dict[str, object] = {
        "text": scored.text,
        "total_nats": scored.total,
        "mean_nats": scored.mean,
        "bits_per_byte": scored.bits_per_byte,
        "tokens": scored.tokens,
    }
    if tokens:
        result["symbols"], result["nats"] = scored.symbols, scored.token_nats
    return result


def _show(scored: Score, *, tokens: bool, header: bool) -> None:
    text = visible(scored.text)
    if not tokens:
        if header:
            print("  total    mean  bits/byte  text")
        print(f"{scored.total:7.3f}  {scored.mean:6.3f}  {scored.bits_per_byte:9.3f}  {text}")
        return
    print(
        f"{text}: {scored.total:.3f} nats, {scored.mean:.4f} per token, "
        f"{scored.bits_per_byte:.3f} bits per byte"
    )
    most = max(scored.token_nats)
    rows = []
    for symbol, nats in zip(scored.symbols, scored.token_nats, strict=True):
        mark = "most surprising" if nats == most else "!" if nats > MARKED * scored.mean else ""
        bar = "#" * round(4 * min(nats, LONGEST_BAR))
        rows.append(("", visible(symbol), f"{nats:.3f}", bar, mark))
    print(table(rows, right=(2,)))
