"""What has to be known of a text before it can be split and encoded, found in one bounded pass.

Of a text that is not held in memory it is kept in the cache with the file's size and time of change;
while these are the same, the file is not inspected again.
"""

from __future__ import annotations

import hashlib
import re
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from time import perf_counter

import numpy as np

from hornbook.data.cache import CacheError, cache_directory
from hornbook.data.decoding import codec_name
from hornbook.data.kind import Kind, decide_kind
from hornbook.data.limits import Limits
from hornbook.data.reading import (
    TextReader,
    beginning,
    file_state,
    has_cr_ends,
    is_also_utf8,
    refuse_changed,
    whole_lines,
    without_blank_lines,
)
from hornbook.data.writer_thread import writer_thread
from hornbook.errors import DataError, RunError, counted
from hornbook.files import read_json, write_json
from hornbook.tokenizers.base import Ids
from hornbook.tokenizers.char import code_points

FORMAT = 3

END_SPELLINGS = re.compile(r"<\|endoftext(?:-\d{1,9})?\|>")  # see tokenizers.base.end_spelling
LONGEST_END = 32


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """What one pass over a text found.

    modified: when the file was changed last, in nanoseconds. cr_ends: a CR alone ends a line.
    reading: the first version (`reading.READING`) that reads the text like this. sha256, n_bytes:
    those of the file. n_characters, n_lines: characters, and line breaks among them, after line ends
    were made \\n. n_documents: without blank lines (0 of a stream). n_blank: blank lines among
    documents. alphabet: each character once, then the spellings of an end of document that appear in
    the text. notes: what was changed while reading. seconds: what the pass took.
    """

    path: str
    encoding: str
    kind: Kind
    why_kind: str
    modified: int
    cr_ends: bool
    reading: int
    sha256: str
    n_bytes: int
    n_characters: int
    n_lines: int
    n_documents: int
    n_blank: int
    alphabet: str
    notes: tuple[str, ...]
    seconds: float

    @property
    def n_units(self) -> int:
        """Documents, or characters of a stream."""
        return self.n_documents if self.kind == "documents" else self.n_characters

    def reader(self, limits: Limits) -> TextReader:
        """The text once more, in pieces."""
        return TextReader(Path(self.path), self.encoding, cr_ends=self.cr_ends, chunk=limits.chunk)


def inspect(
    path: Path, kind: str, encoding: str, limits: Limits, *, keep: int | None
) -> tuple[Inspection, str]:
    """What is in a text file, and its first `keep` characters (None: all) in whole lines.

    Raises ConfigError for an unknown encoding, DataError where the file cannot be read, is empty,
    binary, not in `encoding`, or changed meanwhile.
    """
    begin, state = perf_counter(), file_state(path)
    codec_name(encoding)
    with writer_thread() as submit:  # hashing lets go of Python's lock, decoding does not
        digest = hashlib.sha256()
        reader = TextReader(
            path, encoding,
            cr_ends=has_cr_ends(path, encoding, limits.chunk),
            chunk=limits.chunk,
            on_bytes=lambda chunk: submit(digest.update, chunk),
        )  # fmt: skip
        texts = iter(reader)
        first, text = beginning(texts, keep)
        whole = sum(map(len, first)) == len(text)
        found, why, wrapped = decide_kind(kind, text, whole=whole)
        texts = chain(first, texts)
        if found == "documents":
            texts = whole_lines(texts, path, None if keep is None else limits.line)
        alphabet = _Alphabet()
        n_characters = n_lines = n_documents = n_blank = 0
        for piece in texts:
            points = code_points(piece)
            n_characters += len(piece)
            n_lines += int(np.count_nonzero(points == 10))  # four times as fast as str.count
            alphabet.add(piece, points)
            if found == "documents":
                _, filled, blank = without_blank_lines(piece)
                n_documents, n_blank = n_documents + filled, n_blank + blank
    characters = set(str(alphabet))
    if not characters - set(" \t\n\r\v\f"):
        raise DataError(f"{path}: is empty; expected a text to learn from")
    if len(characters - {"\n"}) < 2:
        raise DataError(
            f"{path}: found 1 different character, expected at least 2; there is nothing to learn "
            "in it"
        )
    refuse_changed(path, state)
    notes = {
        "byte order mark left out": reader.byte_order_mark,
        f"{counted(reader.crlf, 'line end')} CRLF read as LF": reader.crlf,
        f"{counted(reader.cr_crlf, 'line end')} CR CR LF read as LF": reader.cr_crlf,
        f"{counted(reader.cr, 'line end')} CR read as LF": reader.cr,
        f"{reader.kept_cr} CR that end no line left in the text": reader.kept_cr,
        f"{counted(n_blank, 'blank line')} left out": n_blank,
        wrapped: wrapped,
        f"read as {encoding}, but the file is valid UTF-8 as well: where letters look wrong, read it "
        "with --encoding utf-8": _looks_like_utf8(path, encoding, characters, limits),
    }
    inspection = Inspection(
        path=str(path),
        encoding=encoding,
        kind=found,
        why_kind=why,
        modified=state[1],
        cr_ends=reader.cr_ends,
        reading=reader.version,
        sha256=digest.hexdigest(),
        n_bytes=state[0],
        n_characters=n_characters,
        n_lines=n_lines,
        n_documents=n_documents,
        n_blank=n_blank,
        alphabet=str(alphabet),
        notes=tuple(note for note, holds in notes.items() if holds),
        seconds=perf_counter() - begin,
    )
    return inspection, text


def inspect_once(path: Path, kind: str, encoding: str, limits: Limits) -> tuple[Inspection, str]:
    """As `inspect` with an excerpt of the text, by an earlier pass where the cache has one.

    Raises CacheError where the cache cannot be written, and what `inspect` raises.
    """
    path = path.resolve()
    facts = repr((FORMAT, str(path), kind, codec_name(encoding), limits.line)).encode()
    index = cache_directory() / "texts" / f"{hashlib.sha256(facts).hexdigest()[:32]}.json"
    with suppress(RunError, TypeError, KeyError):
        known = read_json(index)
        inspection = Inspection(**{**known, "notes": tuple(known["notes"])})
        if (inspection.n_bytes, inspection.modified) == file_state(path):
            return inspection, beginning(inspection.reader(limits), limits.excerpt)[1]
    inspection, text = inspect(path, kind, encoding, limits, keep=limits.excerpt)
    try:
        index.parent.mkdir(parents=True, exist_ok=True)
        write_json(index, asdict(inspection))
    except (OSError, RunError) as error:
        raise CacheError(index.parent, error) from None
    return inspection, text


def _looks_like_utf8(path: Path, encoding: str, characters: set[str], limits: Limits) -> bool:
    """Whether a text was read in another encoding than UTF-8, which it is in, too."""
    if codec_name(encoding) in ("utf-8", "utf-8-sig", "ascii") or max(characters) < "\x80":
        return False
    return is_also_utf8(path, limits.chunk)


class _Alphabet:
    """The characters of a text that comes in pieces, and the spellings of an end of document."""

    def __init__(self) -> None:
        self._latin = b""
        self._found = np.zeros(0x110000, dtype=np.bool_)  # by code point
        self._ends: set[str] = set()
        self._last = ""

    def add(self, text: str, points: Ids) -> None:
        """Adds what is in a piece. points: its `code_points`."""
        if points.dtype == np.uint8:
            self._latin += bytes(set(points.tobytes().translate(None, self._latin)))
        elif not self._found.take(points, mode="clip").all():
            self._found[points] = True
        around = self._last + text
        if "<|endoftext" in around:
            self._ends.update(END_SPELLINGS.findall(around))
        self._last = around[-LONGEST_END:]

    def __str__(self) -> str:
        points = sorted({*self._latin, *np.flatnonzero(self._found).tolist()})
        return "".join([*map(chr, points), *sorted(self._ends)])
