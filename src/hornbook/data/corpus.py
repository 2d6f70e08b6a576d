"""A text that can be trained on: what inspecting it found, and the text, or an excerpt of it.

The one difference between texts of any size is `Corpus.in_memory`, decided in `read_corpus`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from hornbook.data.inspection import Inspection, inspect, inspect_once
from hornbook.data.limits import LIMITS, Limits
from hornbook.data.reading import file_state, refuse_changed, whole_lines, without_blank_lines
from hornbook.tokenizers.base import as_lines


@dataclass(frozen=True, kw_only=True)
class Corpus(Inspection):
    """A text that can be trained on.

    name: what the run is called after. source: the path or registry name it was read from.
    in_memory: whether `text` and `documents` are complete. Else they are the beginning of the text:
        what needs the text itself (copies, new samples, figures) goes by excerpts.
    """

    name: str
    source: str
    in_memory: bool
    limits: Limits
    text: str = field(repr=False)
    documents: tuple[str, ...] = field(repr=False)

    def pieces(self) -> Iterator[str]:
        """The whole text in pieces; of documents whole lines, none of them blank, each ended.

        Raises DataError where the file is read again and has changed.
        """
        if self.in_memory:
            yield self.text if self.kind == "stream" else as_lines(self.documents)
            return
        path = Path(self.path)
        texts = iter(self.reader(self.limits))
        if self.kind == "documents":
            texts = whole_lines(texts, path, self.limits.line)
        for piece in texts:
            yield without_blank_lines(piece)[0] if self.n_blank else piece
        refuse_changed(path, (self.n_bytes, self.modified))


def read_corpus(
    path: Path,
    *,
    kind: str = "auto",
    encoding: str = "utf-8",
    name: str = "",
    source: str = "",
    limits: Limits | None = None,
) -> Corpus:
    """The text of a file as a corpus.

    Raises ConfigError for an unknown encoding; DataError where the file is missing, a directory,
    empty, binary, or not in `encoding`; CacheError where a text that is not held in memory cannot
    be kept track of.
    """
    limits = limits or LIMITS
    in_memory = file_state(path)[0] < limits.in_memory
    if in_memory:
        inspection, text = inspect(path, kind, encoding, limits, keep=None)
    else:
        inspection, text = inspect_once(path, kind, encoding, limits)
    lines = text.split("\n") if inspection.kind == "documents" else []
    facts = dict(vars(inspection))
    if not in_memory:
        facts["notes"] += (
            "a large text, read in pieces: what needs the text itself (copies, new samples, "
            f"figures) uses {limits.excerpt:,} characters of each part",
        )
    return Corpus(
        **facts,
        name=name or path.stem,
        source=source or str(path),
        in_memory=in_memory,
        limits=limits,
        text=text,
        documents=tuple(line for line in lines if line.strip()),
    )
