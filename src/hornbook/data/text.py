"""Reading a text strictly, and telling documents from a stream.

Strict: a byte that the encoding does not allow is an error with its offset, never a replacement
character. What is changed (byte order mark, CRLF) is reported.
"""

from __future__ import annotations

import codecs
import hashlib
import statistics
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from hornbook.errors import ConfigError, DataError

Kind = Literal["documents", "stream"]

ENCODINGS_TO_TRY = ("utf-8", "utf-16", "cp1252", "latin-1")


@dataclass(frozen=True)
class Corpus:
    """A text that can be trained on.

    name: what the run is called after. source: the path or registry name it was read from.
    text: the whole text; of documents one a line. sha256 and n_bytes are those of the file.
    notes: what was changed while reading, for the user to see.
    """

    name: str
    source: str
    text: str
    kind: Kind
    why_kind: str
    encoding: str
    sha256: str
    n_bytes: int
    notes: tuple[str, ...] = ()
    documents: tuple[str, ...] = field(default=(), repr=False)


def read_corpus(
    path: Path, *, kind: str = "auto", encoding: str = "utf-8", name: str = "", source: str = ""
) -> Corpus:
    """The text of a file as a corpus.

    Raises DataError where it is missing, a directory, empty, binary, or not in `encoding`.
    """
    raw = read_file(path)
    text, notes = decode(raw, encoding, str(path))
    found, why = (kind, "as told") if kind != "auto" else detect_kind(text)
    documents: tuple[str, ...] = ()
    if found == "documents":
        lines = text.split("\n")
        documents = tuple(line for line in lines if line.strip())
        blank = len(lines) - len(documents) - (1 if lines[-1] == "" else 0)
        if blank:
            notes.append(f"{blank} blank lines left out")
    if len(set(text) - {"\n"}) < 2:
        raise DataError(
            f"{path}: found 1 different symbol, expected at least 2; there is nothing to learn in it"
        )
    return Corpus(
        name=name or path.stem,
        source=source or str(path),
        text=text,
        kind="documents" if found == "documents" else "stream",
        why_kind=why,
        encoding=encoding,
        sha256=hashlib.sha256(raw).hexdigest(),
        n_bytes=len(raw),
        notes=tuple(notes),
        documents=documents,
    )


def read_file(path: Path) -> bytes:
    """The bytes of a text file. Raises DataError that says what stands in the way."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; give the path of a text file") from None
    except IsADirectoryError:
        raise DataError(f"{path}: is a directory; give one text file in it") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    if not raw.strip():
        raise DataError(f"{path}: is empty; expected a text to learn from")
    return raw


def decode(raw: bytes, encoding: str, place: str) -> tuple[str, list[str]]:
    """The text of `raw` with its line ends as \\n, and notes on what was changed.

    Raises ConfigError for an unknown encoding, DataError for bytes that do not fit it.
    """
    try:
        codec = codecs.lookup(encoding).name
        "".encode(codec)
    except (LookupError, TypeError, ValueError):
        raise ConfigError(
            f"encoding: found {encoding!r}, expected one that Python knows, such as utf-8, "
            "latin-1, cp1252 or utf-16"
        ) from None
    notes = []
    if raw.startswith(codecs.BOM_UTF8) and codec == "utf-8":
        raw = raw.removeprefix(codecs.BOM_UTF8)
        notes.append("byte order mark left out")
    if codec == "utf-8" and b"\0" in raw and not raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(
            f"{place}: found a null byte at offset {raw.index(0)}: a binary file, expected text. "
            "If it is text in another encoding, name it (--encoding)"
        )
    try:
        text = raw.decode(codec)
    except UnicodeError as error:
        offset = error.start if isinstance(error, UnicodeDecodeError) else 0
        fits = [e for e in ENCODINGS_TO_TRY if e != codec and _fits(raw, e)]
        raise DataError(
            f"{place}: found byte 0x{raw[offset]:02x} at offset {offset}, which is not valid "
            f"{encoding}. It would be valid in: {', '.join(fits) or 'none of the usual encodings'}. "
            "Name the right one (--encoding)"
        ) from None
    if "\r\n" in text:
        notes.append(f"{text.count(chr(13) + chr(10))} line ends CRLF read as LF")
        text = text.replace("\r\n", "\n")
    if "\r" in text and "\n" not in text:
        notes.append(f"{text.count(chr(13))} line ends CR read as LF")
        text = text.replace("\r", "\n")
    return text, notes


def _fits(raw: bytes, encoding: str) -> bool:
    if encoding == "utf-16" and not raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return False
    try:
        raw.decode(encoding)
    except UnicodeError:
        return False
    return True


def detect_kind(text: str) -> tuple[Kind, str]:
    """Documents (one a line) or one stream, and why.

    Many short lines without blank or indented ones among them are documents. The number of lines
    that counts as many depends on their length: a few words may be a list, a few lines of ordinary
    width are rather a poem or a page, and lines that nobody would wrap so are units of their own.
    """
    lines = text.strip("\n").split("\n")
    filled = [line for line in lines if line.strip()]
    blank = 1 - len(filled) / len(lines)
    indented = sum(line[0] in " \t" for line in filled) / max(1, len(filled))
    width = statistics.median(len(line) for line in filled) if filled else 0
    if blank > 0.02:
        return "stream", f"{blank:.0%} of its lines are blank"
    if indented > 0.02:
        return "stream", f"{indented:.0%} of its lines are indented"
    words = statistics.median(len(line.split()) for line in filled) if filled else 0
    enough = 20 if (width <= 25 and words <= 2) or 120 < width <= 4000 else 200
    seen = f"{len(lines):,} lines of {width:.0f} characters (median)"
    if width <= 4000 and len(lines) >= enough:
        return "documents", f"{seen}, none blank or indented" if not blank + indented else seen
    return "stream", f"{seen}: too few for a list" if width <= 4000 else seen
