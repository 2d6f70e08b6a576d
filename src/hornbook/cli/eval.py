"""`hornbook eval RUN`."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from hornbook.cli.common import (
    READING,
    Parser,
    add_part,
    add_reading,
    add_unknown,
    load_run,
    number,
    print_json,
    with_error,
)
from hornbook.errors import counted
from hornbook.table import table

if TYPE_CHECKING:
    from hornbook.data.corpus import Corpus
    from hornbook.runs.directory import StoredRun


def run(arguments: list[str]) -> int:
    """Prints the loss of a run over a whole part of its corpus, or over another text."""
    parser = Parser("eval")
    parser.add_argument("path", metavar="RUN", help="a run directory")
    parser.add_argument(
        "--split", default="val", choices=("train", "val", "test"), help="(default: val)"
    )
    parser.add_argument("--corpus", metavar="FILE", help="another text, whole")
    parser.add_argument("--encoding", help="of the other text (default: detected from it)")
    add_reading(parser, "of the other text (default: as the run's own was read)")
    parser.add_argument("--json", action="store_true", help="as one JSON object")
    add_part(parser)
    add_unknown(parser)
    args = parser.parse_args(arguments)

    from hornbook.cli.flags import show_notes
    from hornbook.errors import ConfigError, DataError
    from hornbook.runs.text import MissingTextError

    loaded = load_run(args.path, args.part)
    other, encoding = args.corpus, args.encoding
    if other is None and (found := next((n for n in READING if getattr(args, n) is not None), "")):
        raise ConfigError(
            f"--{found}: found it without another text; the run's own is read as it was"
        )
    if other is not None:
        how = {name: getattr(args, name) for name in READING if getattr(args, name) is not None}
        other, encoding = loaded.other_text(other, encoding, how), None
        show_notes([*other.notes, *(_left_out(loaded, other) if args.unknown == "skip" else ())])
    try:
        result = loaded.evaluate(args.split, corpus=other, encoding=encoding, unknown=args.unknown)
    except MissingTextError as error:
        raise DataError(f"{error}; to evaluate it on another text: --corpus FILE") from None
    where = args.corpus or args.split
    again = where == "val" and not loaded.config.data.held_out
    where += " (the training text: none is held out)" if again else ""
    if args.json:
        print_json({"run": args.path, "part": where, **result.to_json()})
        return 0
    units = counted(result.units, "document" if loaded.documents else "block")
    rows = [
        ("part", f"{where}: {counted(result.tokens, 'token')}, {units}"),
        ("loss", f"{with_error(result.nats, result.standard_error)} nats per token"),
        ("perplexity", f"{result.perplexity:.3f}"),
        ("bits per byte", f"{number(result.bits_per_byte)} over {result.bytes:,} bytes"),
    ]
    print(table(rows))
    return 0


def _left_out(run: StoredRun, other: Corpus) -> list[str]:
    """How much of another text is skipped as unknown, if any."""
    from hornbook.tokenizers.char import CharTokenizer

    if not isinstance(run.tokenizer, CharTokenizer):
        return []
    counts: Counter[str] = Counter()
    for piece in other.pieces():
        counts.update(piece)
    if run.documents:
        del counts[other.document_end]
    known, total = set(run.tokenizer.characters), counts.total()
    skipped = sum(n for character, n in counts.items() if character not in known)
    if not skipped:
        return []
    share = 100 * skipped / total
    return [f"{skipped:,} of {total:,} characters ({share:.2g}%) are unknown and left out"]
