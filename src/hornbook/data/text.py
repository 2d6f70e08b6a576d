"""Reading a text strictly: what is changed (byte order mark, CRLF) is reported, nothing is guessed.

A text of up to LARGE bytes is held in memory. A longer one is read in pieces, to the same result
(`large`): its tokens lie on disk (`store`), and `text` is only its beginning.
"""

from __future__ import annotations

import codecs
import hashlib
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path

from hornbook.data.decoding import (
    ENCODINGS_TO_TRY,
    WrongByte,
    codec_name,
    decode_chunks,
    explain,
    fits,
)
from hornbook.data.kind import Kind, detect_kind
from hornbook.data.large import EXCERPT, Large, read_large
from hornbook.errors import DataError

LARGE = 1 << 25  # bytes from which a text is not held in memory


@dataclass(frozen=True)
class Corpus:
    """A text that can be trained on.

    name: what the run is called after. source: the path or registry name it was read from.
    text: the whole text; of documents one a line. Of a large text its beginning alone.
    sha256 and n_bytes are those of the file.
    notes: what was changed while reading, for the user to see.
    large: what is known of a text too large for memory; None of all others.
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
    large: Large | None = field(default=None, repr=False)

    @property
    def symbols(self) -> str:
        """A text with every symbol of the corpus and every spelling of an end of document in it."""
        return self.text if self.large is None else self.large.symbols


def read_corpus(
    path: Path, *, kind: str = "auto", encoding: str = "utf-8", name: str = "", source: str = ""
) -> Corpus:
    """The text of a file as a corpus.

    Raises DataError where it is missing, a directory, empty, binary, or not in `encoding`.
    """
    if path.is_file() and path.stat().st_size >= LARGE:
        return _large_corpus(path, kind, encoding, name, source)
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


def refuse_special(path: Path) -> None:
    """Raises DataError for a pipe or a device, which may never end and cannot be read twice."""
    mode = path.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise DataError(
            f"{path}: is a pipe or a device, expected a plain file; save the text into one first"
        )


def read_file(path: Path) -> bytes:
    """The bytes of a text file. Raises DataError that says what stands in the way."""
    try:
        refuse_special(path)
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
    codec = codec_name(encoding)
    try:
        text = "".join(decode_chunks([raw], encoding))
    except WrongByte as wrong:
        others = [e for e in ENCODINGS_TO_TRY if e != codec and fits([raw], e)]
        raise explain(wrong, place, encoding, others) from None
    if codec != "utf-8" and (half := re.search("[\ud800-\udfff]", text)):
        raise DataError(
            f"{place}: found U+{ord(half[0]):04X} as character {half.start():,}, half of a pair, "
            f"which is no character; expected text in {encoding}. Name the right one (--encoding)"
        )
    notes = []
    if raw.startswith(codecs.BOM_UTF8) and codec == "utf-8":
        notes.append("byte order mark left out")
    if "\r\n" in text:
        notes.append(f"{text.count(chr(13) + chr(10))} line ends CRLF read as LF")
        text = text.replace("\r\n", "\n")
    if "\r" in text and "\n" not in text:
        notes.append(f"{text.count(chr(13))} line ends CR read as LF")
        text = text.replace("\r", "\n")
    return text, notes


def _large_corpus(path: Path, kind: str, encoding: str, name: str, source: str) -> Corpus:
    large = read_large(path, kind, encoding)
    text = large.beginning()
    lines = text.split("\n") if large.kind == "documents" else []
    note = (
        f"a large text, read in pieces: what needs the text itself (copies, new samples, pictures) "
        f"sees {EXCERPT:,} characters of each part"
    )
    return Corpus(
        name=name or path.stem,
        source=source or str(path),
        text=text,
        kind=large.kind,
        why_kind=large.why_kind,
        encoding=encoding,
        sha256=large.sha256,
        n_bytes=large.n_bytes,
        notes=(*large.notes, note),
        documents=tuple(line for line in lines if line.strip()),
        large=large,
    )
