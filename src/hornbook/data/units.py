"""What a text is divided into: documents, by which separator, or one stream."""

from __future__ import annotations

from dataclasses import dataclass

from hornbook.data.kind import Kind, decide_kind
from hornbook.data.separators import LINE, describe_separator, detect_separator
from hornbook.data.sources.source import Source
from hornbook.errors import ConfigError, counted
from hornbook.tokenizers.base import NULL

RECORD = "record"  # the documents are those of a source of records
MANY_FILES = 20  # of a folder, from which on each file is a document, where they are
SHORT_FILE = 4000  # bytes on average at most


@dataclass(frozen=True)
class Units:
    """The kind of a text and what ends its documents ("" of a stream), why, and a note or ""."""

    kind: Kind
    separator: str
    why: str = ""
    note: str = ""


def decide_units(source: Source, kind: str, separator: str, begun: str, *, whole: bool) -> Units:
    """What a text is divided into, as requested, or by its files and its beginning.

    kind: auto, documents or stream. separator: auto, one of `data/separators.py`, or a marker.
    whole: `begun` is all of the text. Raises ConfigError where the two exclude each other.
    """
    explicit = separator not in ("auto", RECORD)
    if kind == "stream" and explicit:
        raise ConfigError(
            f"separator: found {separator!r} beside the kind stream, which has no documents; leave one "
            "of the two out"
        )
    before = f"{source.described}; " if source.described else ""
    if source.records:
        if explicit:
            raise ConfigError(
                f"separator: found {separator!r}, but each record of {source} is a document; leave it "
                "out, or read the file as text: --format text"
            )
        if kind == "stream" and source.template is not None:
            raise ConfigError(
                f"kind: found stream, but {source} has prompts and answers, each a document; leave "
                "it out, or name one field of text (--field)"
            )
        if kind == "stream":
            return Units("stream", "", f"{before}as requested")
        return Units("documents", RECORD, source.described)
    if explicit and separator != LINE:
        return Units("documents", separator, before + describe_separator(separator))
    if not explicit and kind != "stream":
        if found := detect_separator(begun) if kind == "auto" else "":
            return Units("documents", found, before + describe_separator(found))
        if why := _files_are_documents(source, kind):
            return Units("documents", "file", before + why)
    requested = "documents" if separator == LINE else kind
    found_kind, why, note = decide_kind(requested, begun.replace(NULL, "\n"), whole=whole)
    return Units(found_kind, LINE if found_kind == "documents" else "", before + why, note)


def _files_are_documents(source: Source, kind: str) -> str:
    """Why each of several files is a document; empty where it is not."""
    n = len(source.files)
    if n < 2:
        return ""
    if kind == "documents":
        return describe_separator("file")
    size = sum(file.size for file in source.files) / n
    if n < MANY_FILES or size > SHORT_FILE:
        return ""
    return f"{describe_separator('file')}: {counted(n, 'file')} of {size:,.0f} bytes on average"
