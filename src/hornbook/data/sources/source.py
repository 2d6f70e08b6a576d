"""A text wherever it comes from: pieces of one text, or documents that each end in a null character.

    one file of text            its text, as it is
    several files of text       their texts, with a null character between two of them
    records (JSON, CSV, ...)    the documents in one of their fields, each ended by a null character

No text holds a null character; where one does it is refused. What ends a document in the texts of
files is decided elsewhere (`data/separators.py`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path

from hornbook.config import DataConfig
from hornbook.data.decoding import marked_encoding
from hornbook.data.limits import LIMITS
from hornbook.data.reading import TextReader, has_cr_ends
from hornbook.data.sources import parquet
from hornbook.data.sources.files import TextFile, find_files, state_of
from hornbook.data.sources.records import (
    Documents,
    Record,
    are_objects,
    check_fields,
    choose_field,
    is_list_of_objects,
    json_lines,
    json_list,
    table_rows,
    text_in,
)
from hornbook.data.template import Template, fields_of_answers
from hornbook.errors import ConfigError, DataError, counted
from hornbook.tokenizers.base import NULL

FORMATS = {  # the ending of a file -> how it is read; any other is text
    "csv": "csv",
    "json": "json",
    "jsonl": "jsonl",
    "ndjson": "jsonl",
    "parquet": "parquet",
    "tab": "tsv",
    "tsv": "tsv",
}
TABLES = ("csv", "tsv", "parquet")  # which have columns rather than fields
NAMES = {
    "csv": "CSV", "json": "JSON", "jsonl": "JSON lines", "parquet": "Parquet", "text": "text",
    "tsv": "TSV",
}  # fmt: skip
PIECE = 1 << 16  # characters of documents that are passed on together


@dataclass(frozen=True)
class Source:
    """The files of a text and how they are read.

    path: what was given, a file or a folder. format: one of FORMATS' values, or text. field: of
    records, the one that holds the text. template: of prompts and answers, else None. described: how it
    is read, in words; empty for a file of text.
    """

    path: Path
    files: tuple[TextFile, ...]
    format: str = "text"
    field: str = ""
    header: str = "auto"
    encoding: str = "utf-8"
    described: str = ""
    notes: tuple[str, ...] = ()
    template: Template | None = None

    @classmethod
    def of(cls, path: Path, encoding: str = "utf-8") -> Source:
        """A file of text."""
        return cls(path, (TextFile(path),), encoding=encoding)

    def __str__(self) -> str:
        return str(self.path)

    @property
    def single(self) -> bool:
        """Whether it is one file of text, whose bytes are what is read."""
        return self.format == "text" and len(self.files) == 1

    @property
    def records(self) -> bool:
        """Whether it is documents, whatever they look like."""
        return self.format != "text"

    def state(self) -> tuple[int, ...]:
        """The sizes of its files and when each was changed last. Raises DataError."""
        return state_of(self.files)

    def refuse_changed(self, before: Sequence[int]) -> None:
        """Raises DataError where it is no longer what `state` returned before."""
        if self.state() != tuple(before):
            raise DataError(f"{self}: has changed while it was read; start again")

    def fits(self, limit: int, chunk: int) -> bool:
        """Whether its text has fewer bytes than `limit`, at most a little more of which are read."""
        if self.format == "parquet":
            return sum(map(parquet.text_bytes, self.files)) < limit
        plain = sum(file.path.stat().st_size for file in self.files if not file.compression)
        packed = [file for file in self.files if file.compression]
        if plain >= limit:
            return False
        if len(packed) <= 1:
            return not any(file.holds(limit - plain, chunk) for file in packed)
        found = plain
        for file in packed:
            for piece in file.chunks(chunk):
                found += len(piece)
                if found >= limit:
                    return False
        return True

    def read(
        self,
        chunk: int,
        *,
        cr_ends: bool | None = None,
        on_bytes: Callable[[bytes], None] = lambda _: None,
    ) -> SourceText:
        """Its text once more, in pieces. cr_ends: of a single file, where it is known.

        on_bytes: called with what the sha256 of the text is of: the bytes of a single file,
        decompressed; else the text as it is read, in UTF-8.
        """
        return SourceText(self, chunk, cr_ends, on_bytes)


class SourceText:
    """Iterates over the text of a source in pieces.

    n_bytes: of what its sha256 is of, so far. The other counts are those of `TextReader`, of all files.
    left_out: records without a text. roles: in the conversations among them.
    """

    def __init__(
        self, source: Source, chunk: int, cr_ends: bool | None, on_bytes: Callable[[bytes], None]
    ) -> None:
        self.source, self.chunk, self._cr_ends, self._on_bytes = source, chunk, cr_ends, on_bytes
        self.crlf = self.cr_crlf = self.cr = self.kept_cr = 0
        self.n_bytes = self.left_out = 0
        self.roles: set[str] = set()
        self.version = 1
        self.cr_ends = self.byte_order_mark = False

    def __iter__(self) -> Iterator[str]:
        if self.source.single:
            yield from self._file(self.source.files[0], self._count)
            return
        pieces = self._documents() if self.source.records else self._texts()
        for piece in pieces:
            self._count(piece.encode())
            yield piece

    def _count(self, raw: bytes) -> None:
        self.n_bytes += len(raw)
        self._on_bytes(raw)

    def _file(
        self, file: TextFile, on_bytes: Callable[[bytes], None] = lambda _: None
    ) -> Iterator[str]:
        encoding, ends = self.source.encoding, self._cr_ends
        ends = has_cr_ends(file, encoding, self.chunk) if ends is None else ends
        reader = TextReader(file, encoding, cr_ends=ends, chunk=self.chunk, on_bytes=on_bytes)
        yield from reader
        self.cr_ends |= reader.cr_ends
        self.byte_order_mark |= reader.byte_order_mark
        self.version = max(self.version, reader.version)
        for name in ("crlf", "cr_crlf", "cr", "kept_cr"):
            setattr(self, name, getattr(self, name) + getattr(reader, name))

    def _texts(self) -> Iterator[str]:
        """The texts of several files, with a null character between two of them."""
        for i, file in enumerate(self.source.files):
            if i:
                yield NULL
            yield from without_null(self._file(file), file)

    def _documents(self) -> Iterator[str]:
        begun: list[str] = []
        size = 0
        for file in self.source.files:
            template = self.source.template
            text_of = text_in(self.source.field) if template is None else self._answered
            documents = Documents(self._records(file), text_of, file)
            for document in documents:
                begun.append(document)
                size += len(document)
                if size >= PIECE:
                    yield NULL.join((*begun, ""))
                    begun, size = [], 0
            self.left_out += documents.left_out
        if begun:
            yield NULL.join((*begun, ""))

    def _answered(self, record: Record, place: str) -> str | None:
        """A record by the template; None where a part of it is missing."""
        assert self.source.template is not None
        text = self.source.template.document(record, place)
        if text is None:
            self.roles.update(self.source.template.roles(record))
        return text

    def _records(self, file: TextFile) -> Iterator[Record]:
        fields = (
            [self.source.field] if self.source.template is None else self.source.template.fields
        )
        columns = [field.partition(".")[0] for field in fields]
        return records_of(file, self.source.format, self._file, self.source.header, columns)


def without_null(texts: Iterable[str], place: object) -> Iterator[str]:
    """The same pieces. Raises DataError where one has a null character."""
    for text in texts:
        if NULL in text:
            raise DataError(
                f"{place}: found a null character, expected text; take it out, or name the right "
                "encoding (--encoding)"
            )
        yield text


def records_of(
    file: TextFile,
    found: str,
    read: Callable[[TextFile], Iterator[str]],
    header: str,
    columns: list[str] | None = None,
) -> Iterator[Record]:
    """The records of a file. found: its format. read: the text of a file. columns: of Parquet."""
    if found == "parquet":
        return parquet.parquet_records(file, columns)
    if found == "jsonl":
        return json_lines(read(file), file)
    if found == "json":
        return json_list(read(file), file)
    return table_rows(read(file), file, delimiter="\t" if found == "tsv" else "", header=header)


def open_source(
    path: Path, config: DataConfig, others: Sequence[Path] = (), template: str = ""
) -> Source:
    """The text in a file, a folder, or several of them, read as the settings say.

    others: further files and folders, after the first. template: of prompts and answers, where the
    settings have none. Raises DataError where there is none, where
    the files are of different formats, or where a field has to be chosen.
    """
    files, notes = find_files([path, *others], config.glob)
    formats = Counter(FORMATS.get(file.ending, "text") for file in files)
    found: str = config.format
    if found == "auto":
        if len(formats) > 1:
            kinds = ", ".join(counted(n, f"file of {NAMES[f]}", f"files of {NAMES[f]}")
                              for f, n in formats.most_common())  # fmt: skip
            raise DataError(
                f"{path}: found {kinds}, expected files of one format; choose some of them, such as "
                "--glob '**/*.jsonl', or read all of them as text: --format text"
            )
        found = next(iter(formats))
    source = Source(
        path, files, found, config.field, config.header, config.encoding, "", tuple(notes)
    )
    words = _words(source, several=bool(others))
    if source.records:
        flag = "--column" if found in TABLES else "--field"
        text = SourceText(source, LIMITS.chunk, None, lambda _: None)
        read = partial(records_of, found=found, read=text._file, header=config.header)

        def records() -> Iterator[Record]:
            return chain.from_iterable(map(read, files))

        if "+" in config.field:
            check_fields(records(), config.field, path, flag)
        if answers := fields_of_answers(records(), config.field):
            made = Template.of(answers, config.template or template)
            source = replace(source, field=answers, template=made)
            words.append(_words_of_answers(answers))
        else:
            chosen, why = choose_field(records(), config.field, path, flag)
            source = replace(source, field=chosen)
            words.append(f"the documents are in the {flag[2:]} {chosen!r}{why}")
    elif config.field:
        raise DataError(
            f"{path}: found the field {config.field!r}, but a file of text has none; name its format, "
            "such as --format jsonl or --format csv, or leave the field out"
        )
    if config.template and source.template is None:
        raise ConfigError(
            f"template: found it for {path}, which has no prompts and answers; name their fields, such "
            "as --field question+answer, or leave it out"
        )
    return replace(source, described=", ".join(words))


def open_stdin(path: Path, config: DataConfig, template: str = "") -> Source:
    """What was piped in, as `open_source`: it has no name to go by, so JSON is recognized by how it
    begins."""
    first = next(TextFile(path).chunks(LIMITS.chunk), b"")
    text = first.decode(marked_encoding(first) or "utf-8", "replace").removeprefix("\ufeff")
    found = "jsonl" if are_objects(text) else "json" if is_list_of_objects(text) else ""
    if config.format != "auto" or not found:
        return open_source(path, config, (), template)
    source = open_source(path, config.model_copy(update={"format": found}), (), template)
    return replace(source, described=f"{source.described}; recognized by how it begins")


def _words_of_answers(field: str) -> str:
    """What records with prompts and answers are."""
    if "+" not in field:
        return f"conversations in {field!r}, of which the answers are learned"
    *prompt, answer = map(repr, field.split("+"))
    asked = " and ".join(prompt)
    return f"prompts in {asked} and answers in {answer}, of which the answers are learned"


def _words(source: Source, *, several: bool) -> list[str]:
    """How the files are found and read."""
    files, words = source.files, list[str]()
    if len(files) > 1 or source.path.is_dir() or several:
        words.append(counted(len(files), "file"))
    kinds = sorted({file.compression for file in files} - {""})
    if kinds:
        words.append(f"unpacked ({', '.join(kinds)})")
    if source.records:
        words.append(f"{NAMES[source.format]}")
    return words
