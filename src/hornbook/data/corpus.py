"""A text that can be trained on: what inspecting it found, and the text, or an excerpt of it.

The one difference between texts of any size is `Corpus.in_memory`, decided in `read_corpus`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from hornbook.data.inspection import Inspection, inspect, inspect_once
from hornbook.data.limits import LIMITS, Limits
from hornbook.data.sources.source import Source
from hornbook.tokenizers.base import as_lines


@dataclass(frozen=True, kw_only=True)
class Corpus(Inspection):
    """A text that can be trained on.

    name: what the run is called after. source: the path or registry name it was read from. origin: its
        files and how they are read.
    marked: the documents with the marks of answers, where they have any. in_memory: whether `text` and
        `documents` are complete. Else they are the beginning of the text: what needs the text itself
        (copies, new samples, figures) goes by excerpts.
    """

    name: str
    source: str
    origin: Source = field(repr=False)
    in_memory: bool
    limits: Limits
    text: str = field(repr=False)
    documents: tuple[str, ...] = field(repr=False)
    marked: tuple[str, ...] = field(default=(), repr=False)

    @property
    def answers(self) -> bool:
        """Whether its documents are prompts with answers, which alone are learned."""
        return self.origin.template is not None

    def pieces(self, *, marked: bool = False) -> Iterator[str]:
        """The whole text in pieces; of documents whole ones, none of them blank, each ended by
        `document_end`.

        marked: with the marks of answers (`data/template.py`). Raises DataError where a file is read
        again and has changed.
        """
        if self.in_memory:
            documents = self.marked if marked else self.documents
            stream = self.kind == "stream"
            yield self.text if stream else as_lines(documents, self.document_end)
            return
        pieces = self.read_again(self.origin, self.limits, self.limits.line)
        template = None if marked else self.origin.template
        yield from pieces if template is None else map(template.shown, pieces)
        self.origin.refuse_changed(self.state)


def read_corpus(
    path: Path | Source,
    *,
    kind: str = "auto",
    encoding: str = "utf-8",
    separator: str = "auto",
    name: str = "",
    source: str = "",
    limits: Limits | None = None,
) -> Corpus:
    """The text of a file, or of another source, as a corpus.

    Raises ConfigError for an unknown encoding; DataError where the file is missing, a directory,
    empty, binary, or not in `encoding`; CacheError where a text that is not held in memory cannot
    be kept track of.
    """
    limits = limits or LIMITS
    origin = Source.of(path, encoding) if isinstance(path, Path) else path
    origin.state()  # raises where it cannot be read
    in_memory = origin.fits(limits.in_memory, limits.chunk)
    if in_memory:
        inspection, text = inspect(origin, kind, encoding, limits, keep=None, separator=separator)
    else:
        inspection, text = inspect_once(origin, kind, encoding, limits, separator)
    found = text.split(inspection.document_end) if inspection.kind == "documents" else []
    documents = tuple(document for document in found if document.strip())
    marked: tuple[str, ...] = ()
    if (template := origin.template) is not None:
        marked, documents = documents, tuple(map(template.shown, documents))
        text = template.shown(text)
    facts = dict(vars(inspection))
    if not in_memory:
        facts["notes"] += (
            "a large text, read in pieces: what needs the text itself (copies, new samples, "
            f"figures) uses {limits.excerpt:,} characters of each part",
        )
    return Corpus(
        **facts,
        name=name or origin.path.stem,
        source=source or str(origin.path),
        origin=origin,
        in_memory=in_memory,
        limits=limits,
        text=text,
        documents=documents,
        marked=marked,
    )
