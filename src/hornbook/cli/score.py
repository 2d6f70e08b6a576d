"""`hornbook score RUN [TEXT ...]`."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING

from hornbook.cli.common import Parser, add_unknown, note, print_json
from hornbook.errors import ConfigError, DataError, counted
from hornbook.table import table
from hornbook.visible import visible

if TYPE_CHECKING:
    from hornbook.metrics.loss import Score
    from hornbook.run import Run
    from hornbook.tokenizers.base import Unknown

BATCH = 1000  # lines scored together
MARKED = 2.0  # a token is marked where it costs so many times the mean of its text
LONGEST_BAR = 15.0  # nats; what is held impossible costs infinitely many
BARS = 4  # characters of a bar for each nat
HEADER_LINES = (
    100  # of stdin, in which the first header of a game, a tune or a sequence is looked for
)
PARTED = {"line": "each line is a text", "blank": "texts are parted by blank lines"}


def run(arguments: list[str]) -> int:
    """Prints how surprising a run finds each text; returns 1 where one could not be scored."""
    parser = Parser("score")
    parser.add_argument("path", metavar="RUN", help="a run directory")
    parser.add_argument(
        "texts",
        nargs="*",
        metavar="TEXT",
        help="texts to score (default, or -: those of stdin, each line or as --separator says; "
        "the text - itself is written -- -)",
    )
    parser.add_argument(
        "--separator",
        metavar="TEXT",
        help="what ends a text of stdin: line, blank (lines), file (none does), or a text that stands "
        "between two (default: as the run's text was read, mostly line)",
    )
    parser.add_argument("--tokens", action="store_true", help="print the nats of each token")
    parser.add_argument("--json", action="store_true", help="print one JSON object a text")
    parser.add_argument(
        "--encoding", help="encoding of stdin (default: what a byte order mark says, else utf-8)"
    )
    add_unknown(parser)
    args = parser.parse_args(arguments)

    from hornbook.data.sources.standard_input import STDIN
    from hornbook.run import Run
    from hornbook.runs.commands import run_command

    if args.texts == [STDIN] and "--" not in arguments:
        args.texts = []
    for name in ("separator", "encoding"):
        if args.texts and getattr(args, name) is not None:
            raise ConfigError(f"--{name}: found it beside TEXT, which is read whole; leave it out")
    loaded = Run.load(args.path)
    for text in args.texts:
        if os.path.isfile(text):
            note(
                f"{text}: is scored as a text; to score what the file of this name holds: "
                f"{run_command('score', args.path)} < {shlex.quote(text)}"
            )
    number = failed = 0
    for batch in _batches(args.texts or _stdin(loaded, args.encoding, args.separator)):
        for scored in _scored(loaded, batch, args.unknown):
            number += 1
            if args.json:
                print_json(
                    asdict(scored)
                    if isinstance(scored, Failed)
                    else loaded.score_data(scored, tokens=args.tokens)
                )
            else:
                _show(loaded, scored, tokens=args.tokens, header=number == 1)
            if isinstance(scored, Failed):
                failed += 1
                note(f"hornbook: text {number}: {scored.error}")
    if not number:
        raise DataError("stdin: found no text to score; give TEXT or lines")
    if loaded.held_out_texts is not None and not args.json and failed < number:
        note(_legend(loaded))
    if failed and number > 1:
        note(f"hornbook: {failed:,} of {number:,} texts could not be scored")
    return DataError.exit_code if failed else 0


@dataclass(frozen=True)
class Failed:
    """A text that cannot be scored, and why."""

    text: str
    error: str


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    """Lists of BATCH texts; where the next cannot be read, those before it first."""
    batch: list[str] = []
    try:
        for text in texts:
            batch.append(text)
            if len(batch) == BATCH:
                yield batch
                batch = []
    except DataError:
        yield batch
        raise
    yield batch


def _scored(run: Run, texts: list[str], unknown: Unknown) -> Iterator[Score | Failed]:
    """The scores of texts in order, with an error in place of each that cannot be scored."""
    try:
        yield from run.score(texts, unknown=unknown)
    except DataError as error:
        if len(texts) == 1:
            yield Failed(texts[0], str(error))
        else:  # halves, so that a few wrong texts among many cost little
            middle = len(texts) // 2
            yield from _scored(run, texts[:middle], unknown)
            yield from _scored(run, texts[middle:], unknown)


def _stdin(run: Run, encoding: str | None, separator: str | None) -> Iterator[str]:
    """The texts of stdin: its lines, each as soon as it is there, or what a separator ends."""
    from hornbook.data.reading import lines_of
    from hornbook.data.separators import HEADED, LINE, documents_of, has_header

    raw = getattr(sys.stdin, "buffer", None)
    chunks = (line.encode() for line in sys.stdin) if raw is None else iter(raw.readline, b"")
    lines = lines_of(chunks, encoding, "stdin")
    if separator is None:
        read = run.facts["corpus"].get("read", {})
        separator = read.get("separator", "blank" if run.line_breaks else LINE)
        if separator in HEADED:
            first = list(islice(lines, HEADER_LINES))
            lines = chain(first, lines)
            if not has_header("\n".join(first), separator):
                separator = "blank" if run.line_breaks else LINE
                note(f"stdin: found no headers, as the run's text has, so {PARTED[separator]}")
    if separator == LINE:
        return lines
    return documents_of((f"{line}\n" for line in lines), separator, "stdin")


def _show(run: Run, scored: Score | Failed, *, tokens: bool, header: bool) -> None:
    """Prints a line for a text, or with `tokens` a table."""
    text, texts = visible(scored.text), run.held_out_texts
    if isinstance(scored, Failed):
        figures = ["-", "-", "-", "-"]
    else:
        level = "-" if texts is None else f"{texts.percentile(scored):.0f}"
        figures = [
            f"{scored.total:.3f}", f"{scored.mean:.3f}", f"{scored.bits_per_byte:.3f}", level
        ]  # fmt: skip
    if not tokens:
        if header:
            print("  total    mean  bits/byte  percentile  text")
        total, mean, bits, level = figures
        print(f"{total:>7}  {mean:>6}  {bits:>9}  {level:>10}  {text}")
        return
    if isinstance(scored, Failed):
        print(f"{text}: -")
        return
    typical = "" if texts is None else f", percentile {figures[3]}"
    print(
        f"{text}: {scored.total:.3f} nats, {scored.mean:.4f} per token, "
        f"{scored.bits_per_byte:.3f} bits per byte{typical}"
    )
    most, last = max(scored.token_nats), len(scored.token_nats) - 1
    rows = [("", "token", "nats", f"#: {1 / BARS:g} nats", "")]
    for i, (symbol, nats) in enumerate(zip(scored.symbols, scored.token_nats, strict=True)):
        marks = ["the end"] if i == last and run.tokenizer.end_id is not None else []
        if nats == most:
            marks.append("most surprising")
        elif nats > MARKED * scored.mean:
            marks.append(f"more than {MARKED:g} times the mean")
        bar = "#" * round(BARS * min(nats, LONGEST_BAR))
        name = "' '" if symbol == " " else visible(symbol)
        rows.append(("", name, f"{nats:.3f}", bar, ", ".join(marks)))
    print(table(rows, right=(2,)))


def _legend(run: Run) -> str:
    """What a percentile means."""
    texts = run.held_out_texts
    assert texts is not None
    held_out = "held-out" if run.config.data.held_out else "training"
    share = counted(texts.count, f"{held_out} {texts.unit.removesuffix('s')}")
    return (
        f"percentile: the share of {share} with a lower loss per token, in percent; 50 is typical, "
        "100 less likely than all of them"
    )
