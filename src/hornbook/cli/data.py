"""`hornbook data [NAME|FILE]`."""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from typing import Any

from hornbook.cli.common import Parser, table, visible
from hornbook.config import DataConfig
from hornbook.data.corpora import CORPORA, load_corpus
from hornbook.data.text import Corpus

RAREST = 8
REPEATED = 5


def run(arguments: list[str]) -> int:
    """Lists the corpora, or describes one."""
    parser = Parser("data")
    parser.add_argument("corpus", nargs="?", metavar="NAME|FILE", help="a corpus to describe")
    parser.add_argument("--kind", default="auto", help="auto, documents (one a line) or stream")
    parser.add_argument("--encoding", default="utf-8", help="encoding of the file")
    parser.add_argument("--json", action="store_true", help="as JSON")
    args = parser.parse_args(arguments)
    if args.corpus is None:
        _list(as_json=args.json)
        return 0
    fields = {"corpus": args.corpus, "kind": args.kind, "encoding": args.encoding}
    corpus = load_corpus(DataConfig.parse(fields, "data"))
    facts = statistics(corpus)
    if args.json:
        print(json.dumps(facts, ensure_ascii=False))
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
            print(json.dumps(dict(zip(keys, row, strict=True))))
        return
    print(table([("name", "kind", "what", "from", "where"), *rows]))
    print("\nAny text file is a corpus as well: hornbook train FILE")


def statistics(corpus: Corpus) -> dict[str, Any]:
    """The figures of a corpus as plain data."""
    symbols = _symbols(corpus)
    rarest = sorted(symbols.items(), key=lambda item: (item[1], item[0]))[:RAREST]
    facts: dict[str, Any] = {
        "source": corpus.source,
        "kind": corpus.kind,
        "why": corpus.why_kind,
        "bytes": corpus.n_bytes,
        "characters": corpus.large.characters if corpus.large else sum(symbols.values()),
        "symbols": len(set(corpus.symbols) - set("\n" if corpus.kind == "documents" else "")),
        "sha256": corpus.sha256,
        "notes": list(corpus.notes),
        "rarest": [
            {"symbol": s, "count": n, "name": unicodedata.name(s, f"U+{ord(s):04X}")}
            for s, n in rarest
        ],
    }
    if corpus.kind == "documents":
        lengths = sorted(map(len, corpus.documents))
        counts = Counter(corpus.documents)
        facts |= {
            "documents": len(lengths),
            "different": len(counts),
            "shortest": lengths[0],
            "median": lengths[len(lengths) // 2],
            "longest": lengths[-1],
            "most_repeated": [
                {"text": t, "count": n} for t, n in counts.most_common(REPEATED) if n > 1
            ],
        }
    else:
        facts["lines"] = corpus.text.count("\n")
    if corpus.large is not None:
        facts["excerpt"] = len(corpus.text)
        facts["notes"].append(
            f"counts of symbols, documents and lines are of the first {len(corpus.text):,} characters"
        )
    return facts


def _symbols(corpus: Corpus) -> Counter[str]:
    symbols = Counter(corpus.text)
    if corpus.kind == "documents":  # line breaks stand between them, not in them
        symbols.pop("\n", None)
    return symbols


def _rows(corpus: Corpus, facts: dict[str, Any]) -> list[tuple[str, str]]:
    rows = [
        ("source", facts["source"]),
        ("kind", f"{facts['kind']} ({facts['why']})"),
        ("size", f"{facts['bytes']:,} bytes, {facts['characters']:,} characters"),
        ("sha256", facts["sha256"]),
        ("symbols", f"{facts['symbols']}: {visible(''.join(sorted(_symbols(corpus))))[:100]}"),
        (
            "rarest",
            ", ".join(f"{visible(r['symbol'])} {r['name']} x{r['count']}" for r in facts["rarest"]),
        ),
    ]
    if "documents" in facts:
        repeated = facts["documents"] - facts["different"]
        most = ", ".join(f"{visible(m['text'])} x{m['count']}" for m in facts["most_repeated"])
        rows += [
            ("documents", f"{facts['documents']:,}, {facts['different']:,} different"),
            (
                "length",
                f"{facts['shortest']} to {facts['longest']} characters, median {facts['median']}",
            ),
            ("duplicates", f"{repeated:,}" + (f" ({most})" if most else "")),
        ]
    else:
        rows.append(("lines", f"{facts['lines']:,}"))
    return rows + [("note", note) for note in facts["notes"]]
