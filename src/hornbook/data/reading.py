"""Reading a text file in pieces, strictly: what is changed (byte order mark, line ends) is counted.

Bytes are decoded, line ends become \\n, and of documents a piece holds whole lines. Nothing is held
but the piece at hand.
"""

from __future__ import annotations

import codecs
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from hornbook.data.decoding import (
    ENCODINGS_TO_TRY,
    WrongByte,
    codec_name,
    decode_chunks,
    explain,
    fits,
)
from hornbook.errors import DataError
from hornbook.tokenizers.char import code_points

SPACES = np.array([chr(p).isspace() for p in range(0x3002)])  # U+3000 is the last one


def file_state(path: Path) -> tuple[int, int]:
    """Size of a plain file in bytes and when it was changed last, in nanoseconds.

    Raises DataError where it is missing, a directory, a pipe or a device.
    """
    try:
        facts = path.stat()
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; give the path of a text file") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    if stat.S_ISDIR(facts.st_mode):
        raise DataError(f"{path}: is a directory; give one text file in it")
    if not stat.S_ISREG(facts.st_mode):  # it may never end, and cannot be read twice
        raise DataError(
            f"{path}: is a pipe or a device, expected a plain file; save the text into one first"
        )
    return facts.st_size, facts.st_mtime_ns


def refuse_changed(path: Path, before: tuple[int, int]) -> None:
    """Raises DataError where a file is no longer what `file_state` returned before."""
    if file_state(path) != before:
        raise DataError(f"{path}: has changed while it was read; start again")


def has_only_cr(path: Path, encoding: str, chunk: int) -> bool:
    """Whether the line ends are CR alone: there is no LF. Mostly known from the first piece."""
    cr = False
    for text in _decoded(path, _chunks(path, chunk), encoding, chunk):
        if "\n" in text:
            return False
        cr = cr or "\r" in text
    return cr


class TextReader:
    """Iterates over the text of a file in pieces of about `chunk` bytes, none of them empty.

    cr_only: its line ends are CR alone. on_bytes: called with each chunk of bytes.
    crlf, cr: line ends that were changed so far. byte_order_mark: whether one was left out.
    """

    def __init__(
        self,
        path: Path,
        encoding: str,
        *,
        cr_only: bool,
        chunk: int,
        on_bytes: Callable[[bytes], None] = lambda _: None,
    ) -> None:
        self.path, self.encoding, self.cr_only, self.chunk = path, encoding, cr_only, chunk
        self._on_bytes = on_bytes
        self.crlf = self.cr = 0
        self.byte_order_mark = False

    def __iter__(self) -> Iterator[str]:
        return filter(None, self._line_ends())

    def _line_ends(self) -> Iterator[str]:
        carry = ""
        for text in _decoded(self.path, self._bytes(), self.encoding, self.chunk):
            text, carry = carry + text, ""
            if text.endswith("\r") and not self.cr_only:  # perhaps half of a CRLF
                text, carry = text[:-1], "\r"
            if "\r" in text:
                if self.cr_only:
                    self.cr += text.count("\r")
                    text = text.replace("\r", "\n")
                else:
                    self.crlf += text.count("\r\n")
                    text = text.replace("\r\n", "\n")
            yield text
        yield carry

    def _bytes(self) -> Iterator[bytes]:
        for i, chunk in enumerate(_chunks(self.path, self.chunk)):
            if i == 0 and codec_name(self.encoding) == "utf-8":
                self.byte_order_mark = chunk.startswith(codecs.BOM_UTF8)
            self._on_bytes(chunk)
            yield chunk


def whole_lines(texts: Iterable[str], path: Path, longest: int | None) -> Iterator[str]:
    """The same text in pieces of whole lines, the last one ended too.

    Raises DataError for a line of more than `longest` characters (None: of any length).
    """
    begun: list[str] = []  # of a line that the next piece continues
    size = 0
    for text in texts:
        end = text.rfind("\n") + 1
        if end:
            yield "".join((*begun, text[:end]))
            begun, size = [], 0
        if end < len(text):
            begun.append(text[end:])
            size += len(text) - end
        if longest is not None and size > longest:
            raise DataError(
                f"{path}: found a line of more than {longest:,} characters, too long for a document "
                "of a text that is not held in memory; read it as a stream (--kind stream)"
            )
    if begun:
        yield "".join((*begun, "\n"))


def without_blank_lines(lines: str) -> tuple[str, int, int]:
    """Whole lines without the blank ones among them, how many are left, how many were left out."""
    points = code_points(lines)
    ends = np.flatnonzero(points == 10)
    first = points[np.concatenate([[0], ends[:-1] + 1])]
    if not SPACES.take(first, mode="clip").any():  # a blank line would begin with a space
        return lines, len(ends), 0
    kept = [line for line in lines.split("\n")[:-1] if line.strip()]
    return "".join(f"{line}\n" for line in kept), len(kept), len(ends) - len(kept)


def beginning(texts: Iterable[str], limit: int | None) -> tuple[list[str], str]:
    """Pieces until there are more than `limit` characters (None: all), and the text they begin with.

    That text has at most `limit` characters, of whole lines where it has any.
    """
    pieces: list[str] = []
    size = 0
    for text in texts:
        pieces.append(text)
        size += len(text)
        if limit is not None and size > limit:
            joined = "".join(pieces)[:limit]
            return pieces, joined[: joined.rfind("\n") + 1] or joined
    return pieces, "".join(pieces)


def _chunks(path: Path, size: int) -> Iterator[bytes]:
    try:
        with path.open("rb", buffering=0) as file:
            while chunk := file.read(size):
                yield chunk
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None


def _decoded(path: Path, chunks: Iterable[bytes], encoding: str, size: int) -> Iterator[str]:
    position = 0  # in characters
    strict = codec_name(encoding) == "utf-8"
    try:
        for text in decode_chunks(chunks, encoding):
            # some codecs let halves of surrogate pairs through
            if not strict and (half := re.search("[\ud800-\udfff]", text)):
                raise DataError(
                    f"{path}: found U+{ord(half[0]):04X} as character {position + half.start():,}, "
                    f"half of a pair, which is no character; expected text in {encoding}. Name the "
                    "right one (--encoding)"
                )
            position += len(text)
            yield text
    except WrongByte as wrong:
        others = [e for e in ENCODINGS_TO_TRY if e != codec_name(encoding)]
        valid = [] if wrong.null else [e for e in others if fits(_chunks(path, size), e)]
        raise explain(wrong, str(path), encoding, valid) from None
