"""The text that a run was trained on, found and read again; and other texts, read in the same way."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hornbook.config import DataConfig
from hornbook.data.corpora import encoding_of, load_corpus
from hornbook.data.corpus import Corpus
from hornbook.data.decoding import codec_name
from hornbook.data.finding import find_text, folders_of_texts
from hornbook.data.sources.files import TextFile
from hornbook.data.sources.source import FORMATS
from hornbook.data.template import Template
from hornbook.errors import DataError
from hornbook.tokenizers.base import LINE_BREAK, NULL


class MissingTextError(DataError):
    """The text that a run was trained on is gone or has changed."""


@dataclass(frozen=True)
class TrainedText:
    """What a run knows of its text. facts: those of the corpus. path: the directory of the run."""

    facts: Mapping[str, Any]
    config: DataConfig
    path: Path

    @property
    def how(self) -> dict[str, str]:
        """The settings of `data` that were decided when it was read (`CorpusFacts.read`)."""
        return dict(self.facts.get("read", {}))

    @property
    def documents(self) -> bool:
        """Whether it is of documents rather than a stream."""
        return bool(self.facts["kind"] == "documents")

    @property
    def document_end(self) -> str:
        """The character that ends each document in text: NULL where they may hold line breaks."""
        return NULL if self.documents and self.how else LINE_BREAK

    @property
    def template(self) -> Template | None:
        """How prompts and answers became text; None of another text."""
        how = self.how
        return Template.of(how["field"], how["template"]) if "template" in how else None

    def read(self) -> Corpus:
        """The text, read again.

        Where it is not where it was, or has changed there, it is looked for by its fingerprint: as
        far from the run as it was then, beside the run and in it, in the working directory and among
        the fetched corpora; folders, several files and files of records by their names there. Raises
        DataError where it is nowhere.
        """
        known, data = self.facts, self.config
        if not known["sha256"]:
            raise MissingTextError(
                f"{self.path}: was imported, and the text that it was trained on is unknown"
            )
        try:
            corpus = self._read(data.corpus, data.files)
            if corpus.sha256 != known["sha256"]:
                raise DataError(
                    f"{corpus.source}: has changed since this run was trained on it (sha256 "
                    f"{corpus.sha256[:12]}..., was {known['sha256'][:12]}...)"
                )
        except DataError as error:
            moved = self._moved()
            if moved is None:
                name = "the same name" if data.files or self.how else "any name"
                raise MissingTextError(
                    f"{error}. This run was trained on it: put the same text beside the run or into "
                    f"the working directory, under {name}"
                ) from None
            corpus = replace(moved, notes=(*moved.notes, f"found at {moved.path}: {error}"))
        if corpus.reading > known.get("reading", 1):
            raise DataError(
                f"{corpus.source}: an earlier version of hornbook, which trained this run, read its "
                "line ends or its byte order mark as characters of the text; train on it again"
            )
        return replace(corpus, why_kind=known["why"])

    def _moved(self) -> Corpus | None:
        """The text where it is now; None where it is not found."""
        known, path = self.facts, Path(self.config.corpus)
        folders = self._folders()
        found = find_text(known["sha256"], known["bytes"], folders)
        if found is not None:
            return self._read(str(found))
        for folder in dict.fromkeys(folders):
            here = folder / path.name
            if os.path.exists(here):
                files = [str(folder / os.path.relpath(f, path.parent)) for f in self.config.files]
                with suppress(DataError):
                    corpus = self._read(str(here.absolute()), files)
                    if corpus.sha256 == known["sha256"]:
                        return corpus
        return None

    def _read(self, corpus: str, files: Sequence[str] = ()) -> Corpus:
        """A text, read as this one was. files: further ones."""
        lines = self.documents and "format" not in self.how
        fields = {"format": "text", "separator": "line" if lines else "auto", **self.how}
        fields |= {"corpus": corpus, "kind": self.facts["kind"]}
        data = {**self.config.model_dump(), **fields, "files": tuple(files)}
        return load_corpus(DataConfig.parse(data, "data"))

    def _folders(self) -> list[Path]:
        """Where the text of a run that was moved may be."""
        relative = self.facts.get("relative", "")
        as_then = [(self.path / relative).parent] if relative else []
        return [*as_then, self.path.absolute().parent, self.path, *folders_of_texts()]

    def other(self, corpus: str | Path, encoding: str | None, how: Mapping[str, str]) -> Corpus:
        """Another text, read as the kind of this one (`StoredRun.other_text`)."""
        own, fields = self.config.encoding, {"corpus": str(corpus), "kind": self.facts["kind"]}
        if FORMATS.get(TextFile(Path(corpus)).ending, "text") == self.how.get("format", "text"):
            fields |= self.how or ({"separator": "line"} if self.documents else {})
        fields |= {"encoding": encoding or encoding_of(str(corpus), own), **how}
        other = load_corpus(DataConfig.parse(fields, "data"))
        found = fields["encoding"]
        if encoding is None and codec_name(found) != codec_name(own):
            note = f"read as {found}, which it is in, not as {own}, the encoding of the run's text"
            other = replace(other, notes=(*other.notes, note))
        return other
