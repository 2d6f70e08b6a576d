"""What has to be known of a text before it can be split and encoded, found in one bounded pass.

Of a text that is not held in memory it is kept in the cache with the file's size and time of change;
while these are the same, the file is not inspected again.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from itertools import chain
from pathlib import Path
from time import perf_counter

import numpy as np

from hornbook.data.cache import CacheError, cache_directory
from hornbook.data.decoding import codec_name
from hornbook.data.kind import Kind
from hornbook.data.limits import Limits
from hornbook.data.reading import (
    beginning,
    is_also_utf8,
    whole_lines,
    without_blank_lines,
)
from hornbook.data.separators import HEADED, HEADERS, LINE, SplitText, describe_separator
from hornbook.data.sources.records import are_objects
from hornbook.data.sources.source import Source, SourceText
from hornbook.data.template import without_marks
from hornbook.data.units import RECORD, Units, decide_units
from hornbook.data.writer_thread import writer_thread
from hornbook.errors import DataError, RunError, counted
from hornbook.files import read_json, write_json
from hornbook.tokenizers.base import LINE_BREAK, NULL, Ids
from hornbook.tokenizers.char import code_points

FORMAT = 4

END_SPELLINGS = re.compile(r"<\|endoftext(?:-\d{1,9})?\|>")  # see tokenizers.base.end_spelling
LONGEST_END = 32
FEWEST_CHARACTERS = 150  # different ones, in which those that occur once are counted
MOST_ONCE = 0.2  # share of characters that occur once, from which on it is said


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """What one pass over a text found.

    separator: what ends a document (`data/separators.py`), or RECORD; empty of a stream. state: the
    sizes of the files and when they were changed last. cr_ends: a CR alone ends a line. reading: the
    first version (`reading.READING`) that reads the text like this. sha256, n_bytes: those of the file,
    or of the text as it is read (`Source.read`). n_characters, n_lines: characters, and line breaks
    among them, after line ends were made \\n. n_documents: without blank lines (0 of a stream).
    n_blank: blank lines among documents. alphabet: each character once, then the spellings of an end of
    document that appear in the text. notes: what was changed while reading. seconds: of the pass.
    """

    path: str
    encoding: str
    kind: Kind
    why_kind: str
    separator: str
    state: tuple[int, ...]
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

    @property
    def document_end(self) -> str:
        """The character that ends each document in its text: LINE_BREAK or NULL."""
        return LINE_BREAK if self.separator in ("", LINE) else NULL

    @property
    def n_in_documents(self) -> int:
        """Characters without those that end documents."""
        if self.kind == "stream":
            return self.n_characters
        ends = self.n_lines if self.document_end == LINE_BREAK else self.n_documents
        return self.n_characters - ends

    @property
    def characters(self) -> list[str]:
        """The different characters, sorted; not the ends of documents."""
        return sorted(set(self.alphabet) - {self.document_end if self.kind == "documents" else ""})

    def read_again(self, source: Source, limits: Limits, longest: int | None) -> Iterator[str]:
        """The text of its source once more: whole documents, each ended, none of them blank; or the
        stream."""
        texts = iter(source.read(limits.chunk, cr_ends=self.cr_ends if source.single else None))
        first, begun = beginning(texts, limits.excerpt)
        units = Units(self.kind, self.separator)
        for piece in _separated(chain(first, texts), units, source, begun, longest):
            yield without_blank_lines(piece)[0] if self.n_blank else piece


def inspect(
    path: Path | Source,
    kind: str,
    encoding: str,
    limits: Limits,
    *,
    keep: int | None,
    separator: str = "auto",
) -> tuple[Inspection, str]:
    """What is in a text, and its first `keep` characters (None: all) in whole lines or documents.

    path: a file of text in `encoding`, or a source, which knows its encoding. separator: see
    `data/separators.py`; auto decides it. Raises ConfigError for an unknown encoding, DataError where
    the text cannot be read, is empty, binary, not in `encoding`, or changed meanwhile.
    """
    source = Source.of(path, encoding) if isinstance(path, Path) else path
    begin, state = perf_counter(), source.state()
    codec_name(source.encoding)
    with writer_thread() as submit:  # hashing lets go of Python's lock, decoding does not
        digest = hashlib.sha256()
        reader = source.read(limits.chunk, on_bytes=lambda chunk: submit(digest.update, chunk))
        texts = iter(reader)
        first, begun = beginning(texts, keep)
        whole = sum(map(len, first)) == len(begun)
        units = decide_units(source, kind, separator, begun, whole=whole)
        longest = None if keep is None else limits.line
        kept: list[str] = []
        alphabet = _Alphabet()
        n_characters = n_lines = n_documents = n_blank = size = 0
        for piece in _separated(chain(first, texts), units, source, begun, longest):
            kept_piece = piece
            if source.template is not None:
                piece = source.template.shown(piece)
            points = code_points(piece)
            n_characters += len(piece)
            n_lines += int(np.count_nonzero(points == 10))  # four times as fast as str.count
            alphabet.add(piece, points)
            if units.separator == LINE:
                _, filled, blank = without_blank_lines(piece)
                n_documents, n_blank = n_documents + filled, n_blank + blank
            elif units.kind == "documents":
                n_documents += int(np.count_nonzero(points == 0))
            if keep is None or size < keep:
                kept.append(kept_piece)
                size += len(piece)
    plain = units.separator in ("", LINE)
    text = begun if source.single and plain else _cut("".join(kept)[:keep], units.separator)
    found = str(alphabet) if plain else str(alphabet).replace(NULL, "")
    characters = set(found)
    if not characters - set(" \t\n\r\v\f"):
        raise DataError(f"{source}: {_why_empty(source, units.separator, reader)}")
    if len(characters - {"\n"}) < 2:
        raise DataError(
            f"{source}: found 1 different character, expected at least 2; there is nothing to learn "
            "in it"
        )
    source.refuse_changed(state)
    notes = {
        **dict.fromkeys(source.notes, True),
        "byte order mark left out": reader.byte_order_mark,
        f"{counted(reader.crlf, 'line end')} CRLF read as LF": reader.crlf,
        f"{counted(reader.cr_crlf, 'line end')} CR CR LF read as LF": reader.cr_crlf,
        f"{counted(reader.cr, 'line end')} CR read as LF": reader.cr,
        f"{reader.kept_cr} CR that end no line left in the text": reader.kept_cr,
        f"{counted(n_blank, 'blank line')} left out": n_blank,
        f"{counted(reader.left_out, 'record')} without a text left out": reader.left_out,
        units.note: units.note,
        "its lines are JSON objects, which are read as they stand; to read them as records: --format "
        "jsonl": source.single and are_objects(begun),
        f"read as {source.encoding}, but the file is valid UTF-8 as well: where letters look wrong, "
        "read it with --encoding utf-8": _looks_like_utf8(source, characters, limits),
        (rare := rare_characters(without_marks(text), len(characters), whole=whole)): rare,
    }
    inspection = Inspection(
        path=str(source.path),
        encoding=source.encoding,
        kind=units.kind,
        why_kind=units.why,
        separator=units.separator,
        state=state,
        cr_ends=reader.cr_ends,
        reading=reader.version,
        sha256=digest.hexdigest(),
        n_bytes=reader.n_bytes,
        n_characters=n_characters,
        n_lines=n_lines,
        n_documents=n_documents,
        n_blank=n_blank,
        alphabet=found,
        notes=tuple(note for note, holds in notes.items() if holds),
        seconds=perf_counter() - begin,
    )
    return inspection, text


def inspect_once(
    path: Path | Source, kind: str, encoding: str, limits: Limits, separator: str = "auto"
) -> tuple[Inspection, str]:
    """As `inspect` with an excerpt of the text, by an earlier pass where the cache has one.

    Raises CacheError where the cache cannot be written, and what `inspect` raises.
    """
    source = Source.of(path, encoding) if isinstance(path, Path) else path
    source = replace(source, path=source.path.resolve())
    read = (
        source.format,
        source.field,
        source.header,
        source.template,
        [str(f) for f in source.files],
        separator,
    )
    known = (FORMAT, str(source.path), kind, codec_name(source.encoding), limits.line, read)
    name = hashlib.sha256(repr(known).encode("utf-8", "surrogatepass")).hexdigest()[:32]
    index = cache_directory() / "texts" / f"{name}.json"
    with suppress(RunError, TypeError, KeyError):
        facts = read_json(index)
        facts |= {"notes": tuple(facts["notes"]), "state": tuple(facts["state"])}
        inspection = Inspection(**facts)
        if inspection.state == source.state():
            return inspection, _excerpt(inspection, source, limits)
    inspection, text = inspect(
        source, kind, encoding, limits, keep=limits.excerpt, separator=separator
    )
    try:
        index.parent.mkdir(parents=True, exist_ok=True)
        write_json(index, asdict(inspection))
    except (OSError, RunError) as error:
        raise CacheError(index.parent, error) from None
    return inspection, text


def _excerpt(inspection: Inspection, source: Source, limits: Limits) -> str:
    """The beginning of a text that was inspected before, as `inspect` returns it."""
    if source.single and inspection.separator in ("", LINE):
        reader = source.read(limits.chunk, cr_ends=inspection.cr_ends)
        return beginning(reader, limits.excerpt)[1]
    text = ""
    for piece in inspection.read_again(source, limits, limits.line):
        text += piece
        if len(text) >= limits.excerpt:
            break
    return _cut(text[: limits.excerpt], inspection.separator)


def _cut(text: str, separator: str) -> str:
    """A text without the document that it ends in the middle of, unless that is the only one."""
    return text if separator in ("", LINE) else text[: text.rfind(NULL) + 1] or text


def _why_empty(source: Source, separator: str, reader: SourceText) -> str:
    """Why nothing was found to learn from, and what is expected."""
    template, left_out = source.template, reader.left_out
    if left_out and template is not None:
        roles = f" (found {', '.join(map(repr, sorted(reader.roles)[:8]))})" if reader.roles else ""
        expected = (
            f"messages of the role 'assistant' or 'gpt'{roles}"
            if len(template.fields) == 1
            else " and ".join(template.fields)
        )
        return f"none of its {counted(left_out, 'record')} has text in {expected}; expected some"
    if separator in HEADED:
        what = f"found no line that begins with {HEADERS[separator]}"
        expected = f"expected {describe_separator(separator)} (--separator {separator})"
        return f"{what}, {expected}; leave --separator out to see what it is read as"
    return "is empty; expected a text to learn from"


def _separated(
    texts: Iterable[str], units: Units, source: Source, begun: str, longest: int | None
) -> Iterator[str]:
    """A text in pieces of whole documents, each ended; a stream as it is. begun: its beginning."""
    if units.separator not in ("", LINE, RECORD):
        yield from SplitText(texts, units.separator, source, begun=begun, longest=longest)
        return
    if not source.single and units.separator != RECORD:
        texts = _joined(texts)
    yield from whole_lines(texts, source, longest) if units.separator == LINE else texts


def _joined(texts: Iterable[str]) -> Iterator[str]:
    """Several texts as one: a line break in place of each null character that none precedes."""
    last = "\n"
    for text in texts:
        if text != NULL:
            yield text.replace(NULL, "\n")
        elif last != "\n":
            yield "\n"
        last = text[-1]


def rare_characters(text: str, n_different: int, *, whole: bool) -> str:
    """That many characters occur only once in a text, in words; empty where they do not."""
    if n_different < FEWEST_CHARACTERS:
        return ""
    _, counts = np.unique(code_points(text), return_counts=True)
    once = int((counts == 1).sum())
    if once < MOST_ONCE * len(counts):
        return ""
    where = "" if whole else f" of its first {len(text):,}"
    return (
        f"{once:,} of {len(counts):,} different characters{where} occur only once, too rarely to be "
        "learned, and each takes an id: --tokenizer byte reads the text as 256 different bytes, "
        "--tokenizer bpe as frequent sequences of them"
    )


def _looks_like_utf8(source: Source, characters: set[str], limits: Limits) -> bool:
    """Whether a text was read in another encoding than UTF-8, which it is in, too."""
    codec = codec_name(source.encoding)
    if codec in ("utf-8", "utf-8-sig", "ascii") or max(characters) < "\x80":
        return False
    return source.single and is_also_utf8(source.files[0], limits.chunk)


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
