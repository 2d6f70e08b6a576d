"""A text too large for memory: read in pieces, to the result that reading it whole has.

One pass finds what has to be known before it can be encoded: sha256, line ends, symbols, lengths.
It is kept with the file's size and time of change; while these are the same it is not read again.
"""

from __future__ import annotations

import codecs
import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from time import perf_counter

import numpy as np

from hornbook.data.cache import Behind, cache_directory, unwritable
from hornbook.data.decoding import (
    ENCODINGS_TO_TRY,
    WrongByte,
    codec_name,
    decode_chunks,
    explain,
    fits,
)
from hornbook.data.kind import Kind, detect_kind
from hornbook.errors import DataError, RunError
from hornbook.files import read_json, write_json
from hornbook.tokenizers.char import code_points, latin_1

CHUNK = 1 << 18  # bytes read at a time: with what is made of them they stay in the cache
EXCERPT = 1 << 20  # characters of a large text, or a part of it, that are held in memory
LONGEST_LINE = 1 << 24  # characters of a document
FORMAT = 1

SPACES = np.array([chr(p).isspace() for p in range(0x3002)])  # U+3000 is the last one
ENDS = re.compile(r"<\|endoftext(?:-\d{1,9})?\|>")  # see tokenizers.base.end_spelling
LONGEST_END = 32


@dataclass(frozen=True)
class Large:
    """What one pass over a large text found.

    modified: when the file was changed last, in nanoseconds. old_mac: its line ends are CR alone.
    characters, documents: how many, the latter without blank lines (0 of a stream). blank: those.
    symbols: each one once, and the spellings of an end of document. seconds: what the pass took.
    """

    path: str
    encoding: str
    kind: Kind
    why_kind: str
    modified: int
    old_mac: bool
    sha256: str
    n_bytes: int
    characters: int
    documents: int
    blank: int
    symbols: str
    notes: tuple[str, ...]
    seconds: float

    def pieces(self) -> Iterator[str]:
        """The text again, in pieces of about CHUNK; of documents whole lines, none of them blank.

        Raises DataError where the file has changed.
        """
        pieces = _Pieces(Path(self.path), self.encoding, self.old_mac, self.kind == "documents")
        for piece in pieces:
            if self.blank:
                piece, _, _ = filled(piece)
            yield piece if piece.endswith("\n") or not pieces.lines else piece + "\n"
        if _changed(Path(self.path)) != (self.n_bytes, self.modified):
            raise DataError(f"{self.path}: has changed while it was read; start again")

    def beginning(self) -> str:
        """The first EXCERPT characters; of documents the whole lines in them."""
        pieces = _Pieces(Path(self.path), self.encoding, self.old_mac, lines=False)
        return _excerpt(pieces, whole_lines=self.kind == "documents")


def read_large(path: Path, kind: str, encoding: str) -> Large:
    """What is known of a large text, from its last pass or a new one. Raises DataError."""
    path = path.resolve()
    name = hashlib.sha256(repr((FORMAT, str(path), kind, codec_name(encoding))).encode())
    index = cache_directory() / "texts" / f"{name.hexdigest()[:32]}.json"
    with suppress(RunError, TypeError, KeyError):
        known = read_json(index)
        large = Large(**{**known, "notes": tuple(known["notes"])})
        if (large.n_bytes, large.modified) == _changed(path):
            return large
    large = scan(path, kind, encoding)
    try:
        index.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(index.parent, error) from None
    write_json(index, asdict(large))
    return large


def scan(path: Path, kind: str, encoding: str) -> Large:
    """One pass over a text. Raises DataError where it cannot be read or learned from."""
    begin, (n_bytes, modified) = perf_counter(), _changed(path)
    old_mac = _old_mac(path, encoding)
    head = _excerpt(_Pieces(path, encoding, old_mac, lines=False), whole_lines=True)
    found, why = detect_kind(head)
    why = f"{why}, in its first {len(head):,} characters"
    if kind != "auto":
        found, why = ("documents" if kind == "documents" else "stream"), "as told"
    symbols, characters, documents, blank = _Symbols(), 0, 0, 0
    digest = hashlib.sha256()
    with Behind() as behind:  # hashing lets go of Python's lock, decoding does not
        see = partial(behind, digest.update)
        pieces = _Pieces(path, encoding, old_mac, found == "documents", see)
        for piece in pieces:
            characters += len(piece)
            symbols.add(piece)
            if pieces.lines:
                _, here, left_out = filled(piece)
                documents, blank = documents + here, blank + left_out
    if not set(str(symbols)) - set(" \t\n\r\v\f"):
        raise DataError(f"{path}: is empty; expected a text to learn from")
    if len(set(str(symbols)) - {"\n"}) < 2:
        raise DataError(
            f"{path}: found 1 different symbol, expected at least 2; there is nothing to learn in it"
        )
    if _changed(path) != (n_bytes, modified):
        raise DataError(f"{path}: has changed while it was read; start again")
    notes = {
        "byte order mark left out": pieces.mark,
        f"{pieces.crlf} line ends CRLF read as LF": pieces.crlf,
        f"{pieces.cr} line ends CR read as LF": pieces.cr,
        f"{blank} blank lines left out": blank,
    }
    return Large(
        path=str(path),
        encoding=encoding,
        kind=found,
        why_kind=why,
        modified=modified,
        old_mac=old_mac,
        sha256=digest.hexdigest(),
        n_bytes=n_bytes,
        characters=characters,
        documents=documents,
        blank=blank,
        symbols=str(symbols),
        notes=tuple(note for note, holds in notes.items() if holds),
        seconds=perf_counter() - begin,
    )


class _Pieces:
    """The text of a file in pieces, its line ends as \\n; with `lines` each of whole lines.

    crlf, cr, mark: what was changed so far. see: called with each chunk of bytes.
    """

    def __init__(
        self,
        path: Path,
        encoding: str,
        old_mac: bool,
        lines: bool,
        see: Callable[[bytes], None] = lambda _: None,
    ) -> None:
        self.path, self.encoding, self.old_mac, self.lines = path, encoding, old_mac, lines
        self.see = see
        self.crlf = self.cr = 0
        self.mark = False

    def __iter__(self) -> Iterator[str]:
        texts = self._line_ends()
        return filter(None, self._whole_lines(texts) if self.lines else texts)

    def _line_ends(self) -> Iterator[str]:
        carry = ""
        for text in _decoded(self._bytes(), self.path, self.encoding):
            text, carry = carry + text, ""
            if text.endswith("\r") and not self.old_mac:  # perhaps half of a CRLF
                text, carry = text[:-1], "\r"
            if "\r" in text:
                if self.old_mac:
                    self.cr += text.count("\r")
                    text = text.replace("\r", "\n")
                else:
                    self.crlf += text.count("\r\n")
                    text = text.replace("\r\n", "\n")
            yield text
        yield carry

    def _whole_lines(self, texts: Iterable[str]) -> Iterator[str]:
        begun: list[str] = []  # of a line that goes on
        size = 0
        for text in texts:
            end = text.rfind("\n") + 1
            if end:
                yield "".join((*begun, text[:end]))
                begun, size = [], 0
            begun.append(text[end:])
            size += len(text) - end
            if size > LONGEST_LINE:
                raise DataError(
                    f"{self.path}: found a line of more than {LONGEST_LINE:,} characters, too long "
                    "for a document of a large text; read it as a stream (--kind stream)"
                )
        yield "".join(begun)

    def _bytes(self) -> Iterator[bytes]:
        for i, chunk in enumerate(_chunks(self.path)):
            if i == 0 and codec_name(self.encoding) == "utf-8":
                self.mark = chunk.startswith(codecs.BOM_UTF8)
            self.see(chunk)
            yield chunk


def _chunks(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb", buffering=0) as file:
            while chunk := file.read(CHUNK):
                yield chunk
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None


def _decoded(chunks: Iterable[bytes], path: Path, encoding: str) -> Iterator[str]:
    try:
        yield from decode_chunks(chunks, encoding)
    except WrongByte as wrong:
        others = [e for e in ENCODINGS_TO_TRY if e != codec_name(encoding)]
        valid = [] if wrong.null else [e for e in others if fits(_chunks(path), e)]
        raise explain(wrong, str(path), encoding, valid) from None


def _old_mac(path: Path, encoding: str) -> bool:
    """Whether the line ends are CR alone: there is no LF. Mostly known from the first piece."""
    cr = False
    for text in _decoded(_chunks(path), path, encoding):
        if "\n" in text:
            return False
        cr = cr or "\r" in text
    return cr


def _changed(path: Path) -> tuple[int, int]:
    """Size of a file and when it was changed last, in nanoseconds."""
    try:
        facts = path.stat()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    return facts.st_size, facts.st_mtime_ns


def _excerpt(pieces: Iterable[str], *, whole_lines: bool) -> str:
    found: list[str] = []
    for piece in pieces:
        found.append(piece)
        if sum(map(len, found)) > EXCERPT:
            text = "".join(found)[:EXCERPT]
            end = text.rfind("\n") + 1 if whole_lines else 0
            return text[:end] if end else text
    return "".join(found)


def filled(lines: str) -> tuple[str, int, int]:
    """Lines without the blank ones among them, how many are left, how many were left out."""
    if not lines.endswith("\n"):
        lines += "\n"
    points = code_points(lines)
    ends = np.flatnonzero(points == 10)
    first = points[np.concatenate([[0], ends[:-1] + 1])]
    if not SPACES.take(first, mode="clip").any():  # a blank line would begin with a space
        return lines, len(ends), 0
    kept = [line for line in lines.split("\n")[:-1] if line.strip()]
    return "".join(f"{line}\n" for line in kept), len(kept), len(ends) - len(kept)


class _Symbols:
    """The symbols of a text that comes in pieces, and the spellings of an end of document."""

    def __init__(self) -> None:
        self._latin = b""
        self._seen = np.zeros(0x110000, dtype=np.bool_)
        self._ends: set[str] = set()
        self._last = ""

    def add(self, text: str) -> None:
        if (latin := latin_1(text)) is not None:
            self._latin += bytes(set(latin.translate(None, self._latin)))
        else:
            points = code_points(text)
            if not self._seen.take(points, mode="clip").all():
                self._seen[points] = True
        around = self._last + text
        if "<|endoftext" in around:
            self._ends.update(ENDS.findall(around))
        self._last = around[-LONGEST_END:]

    def __str__(self) -> str:
        self._seen[list(self._latin)] = True
        points = np.flatnonzero(self._seen).tolist()
        return "".join([*map(chr, points), *sorted(self._ends)])
