"""Train, validation and test: which text belongs to which part, and the parts as tokens."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from hornbook.config import DataConfig
from hornbook.data.corpus import Corpus
from hornbook.data.part import Part, refuse_too_few
from hornbook.data.tokens import PARTS, SplitCorpus
from hornbook.errors import ConfigError, DataError, did_you_mean
from hornbook.tokenizers.base import LINE_BREAK, Tokenizer, Unknown

SCORED_TOKENS = 1 << 18  # of a held-out part of a text that is not in memory, by default
NOT_HELD_OUT = (
    "nothing is held out for validation (data.validation 0): what is called validation loss is that "
    "of the training text, and says nothing of new text"
)

Texts = tuple[str, ...]


@dataclass(frozen=True)
class Split:
    """The texts of train, validation and test: documents, or one stretch of a stream each.

    Where `in_memory` is false, these are excerpts, and only the tokens are complete.
    before: of a stream, the character that precedes each part, which its first prediction reads.
    notes: messages for the user.
    held_out: whether validation is apart from training; else it is the training part again.
    scored: tokens of a held-out part that are kept of it, 0 for all.
    unknown: what is done with characters that the tokenizer does not know, unless another way is
        requested.
    source: the corpus that it is a split of; None of one that was put together from texts.
    """

    train: Texts
    validation: Texts
    test: Texts
    documents: bool
    before: tuple[str, str, str] = ("", "", "")
    notes: Texts = ()
    held_out: bool = True
    scored: int = 0
    source: SplitCorpus | None = None
    unknown: Unknown = "error"

    @property
    def in_memory(self) -> bool:
        """Whether the texts of the parts are complete."""
        return self.source is None or self.source.corpus.in_memory

    @property
    def document_end(self) -> str:
        """The character that ends each document in text, which none of them holds."""
        return LINE_BREAK if self.source is None else self.source.corpus.document_end

    @property
    def everything(self) -> Texts:
        """The texts of all parts, each once."""
        return (*self.train, *(self.validation if self.held_out else ()), *self.test)

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Documents, or characters of a stream, in train, validation and test of a corpus."""
        assert self.source is not None
        a, b, c, d = self.source.bounds
        return b - a, c - b if self.held_out else b - a, d - c

    @classmethod
    def whole(cls, corpus: Corpus, tokenizer: Tokenizer, *, unknown: Unknown = "error") -> Split:
        """All of a corpus as the training part, documents in the order of the file."""
        n = corpus.n_units
        return _split(SplitCorpus(corpus, (0, n, n, n), None), tokenizer, unknown)

    def part(self, name: str, tokenizer: Tokenizer, *, unknown: Unknown = "error") -> Part:
        """One of train, validation (or val) and test as tokens.

        Raises ConfigError for another name, DataError if the part is empty, cannot be read or has
        unknown characters.
        """
        if name not in (*PARTS, "val"):
            raise ConfigError(
                f"split: found {name!r}, no such part{did_you_mean(name, (*PARTS, 'val'))}"
            )
        name = "validation" if name == "val" else name
        unknown = self.unknown if unknown == "error" else unknown
        i = PARTS.index(name)
        texts = (self.train, self.validation, self.test)[i]
        if not texts:
            raise DataError(
                f"{name}: this corpus has no such part; a stream is split into train and validation "
                "(data.test sets a share for the test)"
            )
        if self.source is not None:
            parts, _ = self.source.load(tokenizer, unknown)
            part = parts[name if self.held_out or name != "validation" else "train"]
            refuse_too_few(len(part.tokens))
            return part if name == "train" else part.subset(self.scored, tokenizer)
        if self.documents:
            return Part.of_documents(texts, tokenizer, unknown=unknown)
        return Part.of_stream(texts[0], tokenizer, before=self.before[i], unknown=unknown)


def split_corpus(
    corpus: Corpus, config: DataConfig, tokenizer: Tokenizer, unknown: Unknown = "error"
) -> Split:
    """Train, validation and test: shuffled documents 80/10/10, or a stream 90/10 by position.

    Seed 42 gives the split of the lectures (`random.seed(42); random.shuffle(words)`).
    Raises DataError where a part would be empty, or as `SplitCorpus.load`.
    """
    source = SplitCorpus(corpus, split_bounds(corpus, config), config.split_seed)
    split = replace(_split(source, tokenizer, unknown), unknown=unknown)
    if not config.held_out:
        split = replace(
            split, validation=split.train, before=("", "", split.before[2]), held_out=False,
            notes=(*split.notes, NOT_HELD_OUT),
        )  # fmt: skip
    if split.in_memory:
        return replace(split, notes=(*split.notes, *_describe_duplicates(split)))
    scored = SCORED_TOKENS if config.validation_tokens is None else config.validation_tokens
    n = source.load(tokenizer, unknown)[0]["validation"].n_targets
    notes = split.notes
    if 0 < scored < n:
        notes += (
            f"validation by about {scored:,} of its {n:,} tokens, evenly spaced; "
            "--data.validation-tokens 0 scores all of them",
        )
    return replace(split, notes=notes, scored=scored)


def split_bounds(corpus: Corpus, config: DataConfig) -> tuple[int, int, int, int]:
    """Where train, validation and test of a corpus begin and end, in documents, or characters of a
    stream.

    Raises DataError where a part would be empty.
    """
    n, documents = corpus.n_units, corpus.kind == "documents"
    test = config.test
    if test is None:
        test = 0.1 if documents and config.held_out else 0.0
    first = int(round(1 - config.validation - test, 12) * n)
    second = int(round(1 - test, 12) * n) if test else n
    if test and second == n and n >= 3:  # few documents: one each, at the cost of training
        second = n - 1
    first = min(first, second - 1) if config.held_out else second
    if first < (1 if documents else 2):
        raise DataError(
            f"{corpus.source}: found {n} {'documents' if documents else 'characters'}, too few to "
            f"hold out {config.validation:.0%} for validation and {test:.0%} for the test; give "
            "more text"
        )
    return 0, first, second, n


def _split(source: SplitCorpus, tokenizer: Tokenizer, unknown: Unknown = "error") -> Split:
    """A split by bounds; its texts are complete, or excerpts by the tokens of the parts."""
    corpus = source.corpus
    before = ("", "", "")
    parts, note = source.load(tokenizer, unknown)
    if not corpus.in_memory:
        texts = [_excerpt(parts[n], n, tokenizer, corpus.limits.excerpt) for n in PARTS]
    elif corpus.kind == "documents":
        texts = [source.shuffled[a:b] for a, b in pairwise(source.bounds)]
    else:
        text = corpus.text
        texts = [(text[a:b],) if b > a else () for a, b in pairwise(source.bounds)]
        before = ("", text[source.bounds[1] - 1], text[source.bounds[2] - 1])
    notes = (note,) if note else ()
    train, validation, test = texts
    return Split(train, validation, test, corpus.kind == "documents", before, notes, source=source)


def _excerpt(part: Part, name: str, tokenizer: Tokenizer, limit: int) -> Texts:
    """The beginning of a part as text, of about `limit` tokens: whole documents, at least one."""
    if len(part.tokens) < 2:
        return ()
    if not part.documents:
        first = 0 if name == "train" else 1  # the character before the part
        return (tokenizer.decode_lines(part.tokens[first : first + limit]),)
    n = max(1, int(np.searchsorted(part.starts, limit, side="right")) - 1)
    return tokenizer.decode_documents(part.tokens[: part.starts[n] + 1])


def _describe_duplicates(split: Split) -> Texts:
    everything = split.everything
    duplicates = len(everything) - len(set(everything))
    if not duplicates or not split.documents:
        return ()
    if not split.held_out:
        return (f"{duplicates:,} duplicate documents",)
    known = set(split.train)
    shared = sum(text in known for text in split.validation) / len(split.validation)
    return (
        f"{duplicates:,} duplicate documents; {shared:.1%} of the validation documents also appear "
        "in the training part",
    )
