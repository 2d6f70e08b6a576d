"""Reading a text file in pieces, strictly: what is changed (byte order mark, line ends) is counted.

Bytes are decoded, line ends become \\n, and of documents a piece holds whole lines. Nothing is held
but the piece at hand. Line ends are LF, CRLF or, out of a file that was converted twice, CR CR LF;
and CR where the text begins with more of these than of LF.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Protocol

import numpy as np

from hornbook.data.decoding import (
    ENCODINGS_TO_TRY,
    WrongByte,
    byte_order_mark,
    codec_name,
    decode_chunks,
    explain,
    fits,
    fits_utf8,
    marked_encoding,
)
from hornbook.errors import DataError
from hornbook.tokenizers.char import code_points

READING = 2  # the version of what a text is read as; runs keep the one that they were trained with
LINE_END_SAMPLE = 1 << 16  # characters in which line ends are counted to tell which they are
MOST_CR = 8  # before a LF, for one line end
SEVERAL_CR = re.compile(rf"\r{{2,{MOST_CR}}}\n")
LONE_CR = re.compile(r"\r(?![\r\n])")
LINE_END = re.compile(r"\r*\n|\r+(?=[^\r\n])")
ANY_LINE_END = re.compile(rf"\r{{0,{MOST_CR}}}\n|\r")
SPACES = np.array([chr(p).isspace() for p in range(0x3002)])  # U+3000 is the last one


class Chunked(Protocol):
    """What is read like a file, such as a member of an archive; `str` names it in messages."""

    def chunks(self, size: int) -> Iterator[bytes]:
        """Its bytes in chunks of `size`."""


File = Path | Chunked


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


def detect_encoding(path: File, otherwise: str, chunk: int) -> str:
    """The encoding that a byte order mark names, else UTF-8 where the whole file is that, else
    `otherwise`. A text in another encoding that has more than ASCII is hardly ever valid UTF-8."""
    beginning = next(file_chunks(path, chunk), b"")
    return marked_encoding(beginning) or (
        "utf-8" if fits_utf8(file_chunks(path, chunk)) else otherwise
    )


def is_also_utf8(path: File, chunk: int) -> bool:
    """Whether a file is text in UTF-8, whatever it was read as."""
    return fits_utf8(file_chunks(path, chunk))


def has_cr_ends(path: File, encoding: str, chunk: int) -> bool:
    """Whether a CR alone ends a line: there are more of them than of LF among the first characters,
    or, where these have none, a CR is the first line end."""
    texts = _decoded(path, file_chunks(path, chunk), encoding, chunk)
    begun = ""
    for text in texts:
        begun += text
        if len(begun) >= LINE_END_SAMPLE:
            break
    first = begun[:LINE_END_SAMPLE]
    if len(begun) >= LINE_END_SAMPLE:  # what follows tells whether its last CR end a line
        first = first.rstrip("\r")
    cr, lf = len(LONE_CR.findall(first)), first.count("\n")
    if cr or lf:
        return cr > lf
    carry = ""
    for text in chain([begun[len(first) :]], texts):
        text = carry + text
        if found := LINE_END.search(text):
            return "\n" not in found[0]
        carry = "\r" if text.endswith("\r") else ""
    return bool(carry)


class TextReader:
    """Iterates over the text of a file in pieces of about `chunk` bytes, none of them empty.

    cr_ends: a CR alone ends a line. on_bytes: called with each chunk of bytes.
    crlf, cr_crlf, cr: line ends that were changed so far: CRLF, several CR before a LF, CR alone.
    kept_cr: CR that are left in the text. byte_order_mark: whether one was left out.
    version: the first version of READING that reads the text so far as this one does.
    """

    def __init__(
        self,
        path: File,
        encoding: str,
        *,
        cr_ends: bool,
        chunk: int,
        on_bytes: Callable[[bytes], None] = lambda _: None,
    ) -> None:
        self.path, self.encoding, self.cr_ends, self.chunk = path, encoding, cr_ends, chunk
        self._on_bytes = on_bytes
        self.crlf = self.cr_crlf = self.cr = self.kept_cr = 0
        self.byte_order_mark = False
        self.version = 1

    def __iter__(self) -> Iterator[str]:
        return filter(None, self._line_ends())

    def _line_ends(self) -> Iterator[str]:
        carry = ""
        for text in _decoded(self.path, self._bytes(), self.encoding, self.chunk):
            text, carry = carry + text, ""
            if text.endswith("\r"):  # perhaps a part of CRLF
                tail = text[-MOST_CR:]
                end = len(text) - len(tail) + len(tail.rstrip("\r"))
                text, carry = text[:end], text[end:]
            yield self._with_lf(text)
        yield self._with_lf(carry)

    def _with_lf(self, text: str) -> str:
        """A piece with its line ends as LF."""
        if "\r" not in text:
            if self.cr_ends and "\n" in text:
                self.version = 2
            return text
        text, several = SEVERAL_CR.subn("\n", text)
        self.cr_crlf += several
        self.crlf += text.count("\r\n")
        text = text.replace("\r\n", "\n")
        if several or (self.cr_ends and "\n" in text):
            self.version = 2
        lone = text.count("\r")
        if not self.cr_ends:
            self.kept_cr += lone
            return text
        self.cr += lone
        return text.replace("\r", "\n")

    def _bytes(self) -> Iterator[bytes]:
        for i, chunk in enumerate(file_chunks(self.path, self.chunk)):
            if i == 0:
                mark = byte_order_mark(codec := codec_name(self.encoding))
                self.byte_order_mark = bool(mark) and chunk.startswith(mark)
                if self.byte_order_mark and codec != "utf-8":
                    self.version = 2
            self._on_bytes(chunk)
            yield chunk


def lines_of(chunks: Iterable[bytes], encoding: str | None, place: str) -> Iterator[str]:
    """The lines of a text whose bytes come in chunks, without their ends: each as soon as it is whole.

    encoding: None takes the one that a byte order mark names, else UTF-8. place: its name in errors.
    Raises ConfigError for an unknown encoding, DataError for a byte that is not valid in it.
    """
    chunks = iter(chunks)
    first = next(chunks, b"")
    encoding = encoding or marked_encoding(first) or "utf-8"
    begun: list[str] = []  # of a line that the next piece continues
    try:
        for text in decode_chunks(chain([first], chunks), encoding):
            begun.append(text)
            if "\n" in text or "\r" in text:
                joined = "".join(begun)
                whole = joined.rstrip("\r")  # perhaps a part of CRLF
                *lines, rest = ANY_LINE_END.split(whole)
                begun = [rest + joined[len(whole) :]]
                yield from lines
    except WrongByte as wrong:
        raise DataError(
            f"{place}: found byte 0x{wrong.byte:02x}, which is not valid {encoding.upper()} (offset "
            f"{wrong.offset}); name the right encoding (--encoding), or convert the text first"
        ) from None
    if rest := "".join(begun):
        yield from ANY_LINE_END.split(rest.removesuffix("\r"))


def whole_lines(texts: Iterable[str], path: object, longest: int | None) -> Iterator[str]:
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


def file_chunks(path: File, size: int) -> Iterator[bytes]:
    """The bytes of a file in chunks of `size`. Raises DataError where it cannot be read."""
    if not isinstance(path, Path):
        yield from path.chunks(size)
        return
    try:
        with path.open("rb", buffering=0) as file:
            while chunk := file.read(size):
                yield chunk
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None


def _decoded(path: File, chunks: Iterable[bytes], encoding: str, size: int) -> Iterator[str]:
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
        valid = [] if wrong.null else [e for e in others if fits(file_chunks(path, size), e)]
        raise explain(wrong, str(path), encoding, valid) from None
