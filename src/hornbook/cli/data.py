"""`hornbook data [NAME|FILE]`."""

from __future__ import annotations

import re
import shlex
import unicodedata
from collections import Counter
from dataclasses import asdict
from typing import Any

from hornbook.cli.common import READING, Parser, add_reading, print_json
from hornbook.config import DataConfig
from hornbook.data.capacity import find_burdens
from hornbook.data.corpora import CORPORA, load_corpus
from hornbook.data.corpus import Corpus
from hornbook.errors import ConfigError, counted
from hornbook.stages import stage
from hornbook.table import table
from hornbook.visible import visible

RAREST = 8
MOST_FREQUENT = 5
BLANK_LINES = re.compile(r"\n[^\S\n]*\n")
FEWEST_BLOCKS = 20  # between blank lines, from which on they may be documents
MARKER = re.compile(r"[^\w\s]{1,20}|<\|\w+\|>")  # what people put between texts
FIRST = 3  # documents that are displayed
WIDTH = 90  # characters of each


def run(arguments: list[str]) -> int:
    """Lists the corpora, or describes one."""
    parser = Parser("data")
    parser.add_argument(
        "corpus",
        nargs="*",
        metavar="NAME|FILE",
        help="a corpus to describe: a name, files, a folder, - for stdin",
    )
    parser.add_argument("--kind", default="auto", help="auto, documents (one a line) or stream")
    parser.add_argument("--encoding", default="utf-8", help="encoding of the file")
    add_reading(parser, "of this one (default: chosen from it)")
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.add_argument(
        "--examples", action="store_true", help="print contexts and the characters that follow them"
    )
    parser.add_argument(
        "-n", type=int, metavar="N", help="with --examples: of N documents or blocks"
    )
    parser.add_argument(
        "--context-length", type=int, metavar="N",
        help="with --examples: characters of a context (default: 3 of documents, 8 of a stream)",
    )  # fmt: skip
    args = parser.parse_args(arguments)
    if args.examples and not args.corpus:
        raise ConfigError(
            "NAME|FILE: found no corpus, expected one: hornbook data names --examples"
        )
    if not args.examples and (args.n, args.context_length) != (None, None):
        raise ConfigError("-n, --context-length: found without --examples, expected it too")
    if not args.corpus:
        _list(as_json=args.json)
        return 0
    fields = {name: getattr(args, name) for name in READING if getattr(args, name) is not None}
    fields |= {"kind": args.kind, "encoding": args.encoding}
    fields |= {"corpus": args.corpus[0], "files": tuple(args.corpus[1:])}
    with stage("reading the text"):
        corpus = load_corpus(DataConfig.parse(fields, "data"))
    if args.examples:
        _examples(corpus, args.n, args.context_length, as_json=args.json)
        return 0
    facts = statistics(corpus)
    if args.json:
        print_json(facts)
        return 0
    print(table(_rows(corpus, facts)))
    return 0


def _list(*, as_json: bool) -> None:
    rows = []
    for known in CORPORA.values():
        path = known.path()
        here = "in the package" if not known.url else str(path) if path else "not fetched yet"
        rows.append((known.name, known.kind, known.line, known.source, here))
    if as_json:
        keys = ("name", "kind", "what", "source", "where")
        for row in rows:
            print_json(dict(zip(keys, row, strict=True)))
        return
    print(table([("name", "kind", "what", "from", "where"), *rows]))
    print("\nAny text is a corpus as well: hornbook train FILE; how it is read: hornbook data FILE")


def _examples(corpus: Corpus, n: int | None, context_length: int | None, *, as_json: bool) -> None:
    from hornbook.data.examples import first_examples

    if n is None:
        n = 5 if corpus.kind == "documents" else 1
    examples = first_examples(corpus, n, context_length)
    if as_json:
        for example in examples:
            print_json(asdict(example))
        return
    rows = [
        (
            "".join(map(visible, e.context)),
            "--->",
            visible(e.target),
            str(list(e.context_ids)),
            str(e.target_id),
        )
        for e in examples
    ]
    print(table([("context", "", "target", "ids", "target id"), *rows]))


def statistics(corpus: Corpus) -> dict[str, Any]:
    """The figures of a corpus as plain data."""
    documents = corpus.kind == "documents"
    counts = Counter(corpus.text)
    if documents:
        counts.pop(corpus.document_end, None)
    rarest = sorted(counts.items(), key=lambda item: (item[1], item[0]))[:RAREST]
    facts: dict[str, Any] = {
        "source": corpus.source,
        "kind": corpus.kind,
        "why": corpus.why_kind,
        "separator": corpus.separator or None,
        "bytes": corpus.n_bytes,
        "characters": corpus.n_in_documents,
        "different_characters": len(corpus.characters),
        "sha256": corpus.sha256,
        "notes": list(corpus.notes),
        "rarest": [
            {"character": c, "count": n, "name": unicodedata.name(c, f"U+{ord(c):04X}")}
            for c, n in rarest
        ],
    }
    facts["burdens"] = [asdict(burden) for burden in find_burdens(corpus.text, corpus.documents)]
    if documents:
        lengths = sorted(map(len, corpus.documents))
        texts = Counter(corpus.documents)
        facts |= {
            "documents": corpus.n_documents,
            "different": len(texts),
            "duplicates": len(lengths) - len(texts),
            "shortest": lengths[0],
            "median": lengths[len(lengths) // 2],
            "longest": lengths[-1],
            "first": list(corpus.documents[:FIRST]),
            "most_frequent": [
                {"text": t, "count": n} for t, n in texts.most_common(MOST_FREQUENT) if n > 1
            ],
        }
    else:
        facts["lines"] = corpus.n_lines
        blocks = [block for block in BLANK_LINES.split(corpus.text) if block.strip()]
        if len(blocks) >= FEWEST_BLOCKS:
            facts["blocks"] = len(blocks)
        if marker := _marker(corpus.text):
            facts["marker"] = {"text": marker[0], "count": marker[1]}
        facts["first"] = [line for line in corpus.text[:1000].split("\n") if line.strip()][:FIRST]
    if not corpus.in_memory:
        facts["excerpt"] = len(corpus.text)
        facts["notes"].append(
            "rarest characters, lengths and duplicates are of the first "
            f"{len(corpus.text):,} characters"
        )
    return facts


def _marker(text: str) -> tuple[str, int] | None:
    r"""The line that most often parts others, such as % or ---, and how often; None without one.

    >>> _marker("a\n%\nb\n%\n" * 10), _marker("a\n" * 20), _marker("-\n" * 30)
    (('%', 20), None, None)
    """
    lines = [line.strip() for line in text.split("\n")]
    parting = Counter(line for line in lines if MARKER.fullmatch(line))
    (most, n), *_ = parting.most_common(1) or [("", 0)]
    return (most, n) if FEWEST_BLOCKS <= n <= len(lines) // 2 else None


def _shortened(text: str) -> str:
    shown = visible(text[:WIDTH])
    return shown if len(text) <= WIDTH else f"{shown} ..."


def _rows(corpus: Corpus, facts: dict[str, Any]) -> list[tuple[str, str]]:
    rows = [
        ("source", facts["source"]),
        ("kind", f"{facts['kind']} ({facts['why']})"),
        ("size", f"{counted(facts['bytes'], 'byte')}, {counted(facts['characters'], 'character')}"),
        ("sha256", facts["sha256"]),
        (
            "alphabet",
            f"{counted(facts['different_characters'], 'character')}: "
            f"{visible(''.join(corpus.characters))[:100]}",
        ),
        (
            "rarest",
            ", ".join(
                f"{visible(r['character'])} {r['name']} x{r['count']}" for r in facts["rarest"]
            ),
        ),
    ]
    if "documents" in facts:
        most = ", ".join(f"{visible(m['text'])} x{m['count']}" for m in facts["most_frequent"])
        rows += [
            ("documents", f"{facts['documents']:,}, {facts['different']:,} different"),
            (
                "length",
                f"{facts['shortest']:,} to {counted(facts['longest'], 'character')}, "
                f"median {facts['median']:,}",
            ),
            ("duplicates", f"{facts['duplicates']:,}" + (f" ({most})" if most else "")),
        ]
    else:
        rows.append(("lines", f"{facts['lines']:,}"))
        if "blocks" in facts:
            remedy = "to read each as a document: --separator blank"
            rows.append(("blocks", f"{facts['blocks']:,} between blank lines; {remedy}"))
        if "marker" in facts:
            text, n = visible(facts["marker"]["text"]), facts["marker"]["count"]
            remedy = (
                f"to read each text between them as a document: --separator {shlex.quote(text)}"
            )
            rows.append(("markers", f"{n:,} lines are {text!r}; {remedy}"))
    rows += [("first" if i == 0 else "", _shortened(t)) for i, t in enumerate(facts["first"])]
    rows += [
        (
            "capacity",
            f"{b['share']:.0%} of the characters are {b['what']}, such as {b['example']!r}",
        )
        for b in facts["burdens"]
    ]
    return rows + [("note", note) for note in facts["notes"]]
