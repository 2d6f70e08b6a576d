"""Documents that may hold line breaks: cut out of a text where a separator says that one ends.

line        a document a line (`reading.whole_lines`), without line breaks
blank       one or more blank lines stand between two documents
file        each file is a document
pgn         chess games: from each [Event on; the moves alone, in one line
abc         tunes: from each X: to the next blank line, without the number of the tune
fasta       sequences: from each > on; the sequence alone, in one line
any other   a marker: the documents are what stands between two of it, each mostly a line of its own
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from hornbook.data.wrapping import find_wrapping
from hornbook.errors import DataError
from hornbook.tokenizers.base import NULL

LINE = "line"
SEPARATORS = (LINE, "blank", "file", "pgn", "abc", "fasta")  # else it is a marker
HEADED = ("pgn", "abc", "fasta")  # whose documents begin with a header
BEGINNING = 1 << 20  # characters that show what a text is
PIECE = 1 << 16  # characters of documents that are passed on together
HEADER = re.compile(r"^\[.*\][^\S\n]*\n?|^;.*\n?|^%.*\n?", re.MULTILINE)  # of a game; comments
BLANK_LINES = re.compile(r"(?:[^\S\n]*\n)+")
TUNE_NUMBER = re.compile(r"\AX:.*\n?")

BOUNDARIES = {  # in a text of whole lines
    "blank": r"(?m)^[^\S\n]*\n",
    "pgn": r'(?m)^(?=\[Event[^\S\n]+")',
    "abc": r"(?m)^(?=X:)",
    "fasta": r"(?m)^(?=>)",
}
HEADERS = {  # what a document of HEADED begins with
    "pgn": '[Event "...]',
    "abc": "X: and a number",
    "fasta": ">",
}
DESCRIBED = {
    "blank": "documents between blank lines",
    "file": "each file a document",
    "pgn": "games in PGN: the moves of each, without its headers",
    "abc": "tunes in ABC: each from its X: to a blank line, without the number",
    "fasta": "sequences in FASTA: each in one line, without its header",
}


def describe_separator(separator: str) -> str:
    """How documents are told apart, in words."""
    return DESCRIBED.get(separator, f"documents between {separator!r}")


def detect_separator(text: str) -> str:
    r"""The separator of a text whose beginning says what it is: fasta, pgn, abc; else nothing.

    >>> detect_separator('[Event "x"]\n\n1. e4 e5\n'), detect_separator("a\nb\n")
    ('pgn', '')
    """
    first = text[:BEGINNING].lstrip("\n\t ")
    if first.startswith('[Event "'):
        return "pgn"
    numbered = re.match(r"(?:%.*\n|[^\S\n]*\n)*X:[^\S\n]*\d+[^\S\n]*\n", first)
    if numbered and "\nK:" in first:
        return "abc"
    if not first.startswith(">"):
        return ""
    wrapping = find_wrapping([line for line in first.split("\n") if line.strip()])
    return "" if wrapping is None else "fasta"


def has_header(text: str, separator: str) -> bool:
    r"""Whether one of HEADED finds a header in a text.

    >>> has_header("1. e4 e5\n", "pgn"), has_header(">one\nACGT\n", "fasta")
    (False, True)
    """
    return re.search(BOUNDARIES[separator], text) is not None


class SplitText:
    """Iterates over the documents of a text in pieces of whole ones, each ended by a null character.

    texts: the text in pieces; a null character in it ends a document, too. begun: its beginning, which
    tells whether a marker stands on lines of its own, or within them. longest: characters of the
    longest document, None for any. n_documents: so far.
    """

    def __init__(
        self,
        texts: Iterable[str],
        separator: str,
        place: object,
        *,
        begun: str = "",
        longest: int | None = None,
    ) -> None:
        self._texts, self._place, self._longest = texts, place, longest
        self._separator = separator
        boundary = BOUNDARIES.get(separator)
        if separator not in SEPARATORS:
            boundary = marker_boundary(separator, begun, place)
        self._boundary = re.compile(f"{boundary}|\0" if boundary else "\0")
        clean: dict[str, Callable[[str], str]] = {"pgn": moves, "abc": tune, "fasta": sequence}
        self._clean = clean.get(separator, without_edges)
        self.n_documents = 0

    def __iter__(self) -> Iterator[str]:
        begun: list[str] = []  # of a document that the next piece continues
        done: list[str] = []
        size = length = 0
        for text in whole(self._texts):
            first, *others = self._boundary.split(text)
            begun.append(first)
            length += len(first)
            if self._longest is not None and length > self._longest:
                raise DataError(
                    f"{self._place}: found a document of more than {self._longest:,} characters, too "
                    "long for a text that is not held in memory; read it as a stream (--kind stream)"
                )
            if not others:
                continue
            for document in ("".join(begun), *others[:-1]):
                if document := self._clean(document):
                    done.append(document)
                    size += len(document)
            begun, length = [others[-1]], len(others[-1])
            if size >= PIECE:
                yield self._ended(done)
                done, size = [], 0
        if document := self._clean("".join(begun)):
            done.append(document)
        if done:
            yield self._ended(done)

    def _ended(self, documents: list[str]) -> str:
        self.n_documents += len(documents)
        return NULL.join((*documents, ""))


def documents_of(texts: Iterable[str], separator: str, place: object) -> Iterator[str]:
    """The documents of a text one by one; all of it where a marker does not stand in it."""
    marker = separator not in SEPARATORS
    text = "".join(texts) if marker else ""
    begun = text if separator in text else f"{separator}\n"
    for piece in SplitText([text] if marker else texts, separator, place, begun=begun):
        yield from piece.split(NULL)[:-1]


def whole(texts: Iterable[str]) -> Iterator[str]:
    """The same text in pieces that each end with a line or a null character, but the last."""
    carry: list[str] = []
    for text in texts:
        end = max(text.rfind("\n"), text.rfind(NULL)) + 1
        if end:
            yield "".join((*carry, text[:end]))
            carry = []
        carry.append(text[end:])
    if rest := "".join(carry):
        yield rest


def marker_boundary(marker: str, begun: str, place: object) -> str:
    """The pattern of a marker: lines that hold it alone, where the beginning of the text has any; else
    wherever it stands.

    Raises DataError where the beginning has none.
    """
    if marker not in begun:
        raise DataError(
            f"{place}: found no {marker!r} in the first {len(begun):,} characters, expected it between "
            f"two documents; separators are {', '.join(SEPARATORS)}, or a text that stands between them"
        )
    line = rf"(?m)^[^\S\n]*{re.escape(marker)}[^\S\n]*(?:\n|\Z|(?=\0))"
    return line if re.search(line, begun) else re.escape(marker)


def without_edges(document: str) -> str:
    """A document without blank lines around it; empty where nothing else is in it."""
    document = document.rstrip()
    blank = BLANK_LINES.match(document)
    return document[blank.end() :] if blank else document


def moves(game: str) -> str:
    """The moves of a game in PGN, in one line; nothing for text before the first header."""
    return " ".join(HEADER.sub("", game).split()) if game.startswith("[") else ""


def tune(text: str) -> str:
    """A tune in ABC: what follows its X: up to a blank line; nothing for text between tunes."""
    if not text.startswith("X:"):
        return ""
    return re.split(r"\n[^\S\n]*\n", TUNE_NUMBER.sub("", text), maxsplit=1)[0].strip("\n")


def sequence(record: str) -> str:
    """A sequence in FASTA without its header, in one line; nothing for text before the first."""
    header, _, lines = record.partition("\n")
    return "".join(lines.split()) if header.startswith(">") else ""
