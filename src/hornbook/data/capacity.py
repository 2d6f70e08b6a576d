"""What in a text takes the capacity of a small model and teaches it little: ids, markup, addresses."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

LEAST = 0.02  # share of the characters from which on it is reported
EXAMPLE = 30  # characters of an example
REPEATED = 0.5  # share of the documents that a line is in, from which on it is boilerplate

PATTERNS = {
    "markup": re.compile(r"</?[A-Za-z][^<>]{0,200}>|&#?\w{2,8};"),
    "addresses": re.compile(r"(?:https?://|www\.)[^\s<>\"]+"),
    "ids": re.compile(
        r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b"  # UUIDs
        r"|\b(?=[0-9a-fA-F]*\d)[0-9a-fA-F]{12,}\b|\b\d{6,}\b"
        r"|\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?Z?"  # times
    ),
}


@dataclass(frozen=True)
class Burden:
    """A kind of text that takes capacity: its share of the characters, and an example."""

    what: str
    share: float
    example: str


def find_burdens(text: str, documents: Sequence[str] = ()) -> list[Burden]:
    """What takes at least LEAST of the characters of a text. documents: of it, if it has any.

    >>> [b.what for b in find_burdens("<b>emma</b> " * 9)]
    ['markup']
    """
    found = []
    for what, pattern in PATTERNS.items():
        matches = [match[0] for match in pattern.finditer(text)]
        share = sum(map(len, matches)) / max(1, len(text))
        if share >= LEAST:
            found.append(Burden(what, share, matches[0][:EXAMPLE]))
    lines: Counter[str] = Counter()
    for document in documents:
        if "\n" in document:
            lines.update({line for line in document.split("\n") if line.strip()})
    often = [line for line, n in lines.items() if n > max(1, REPEATED * len(documents))]
    share = sum(lines[line] * len(line) for line in often) / max(1, len(text))
    if share >= LEAST:
        most = max(often, key=lambda line: lines[line] * len(line))
        found.append(Burden("lines that most documents have", share, most[:EXAMPLE]))
    return found
