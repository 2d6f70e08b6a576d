"""A split, and its parts as tokens.

A part is one array of tokens cut into units: the documents, or the one stream. Unit u reads
`tokens[starts[u]:starts[u + 1]]` and predicts the same one further on, so that every token is
predicted exactly once:

    tokens  . e m m a . o l i v i a .        (`.` is the end-of-document id)
    starts  0         5             12

Those of a large text are memory maps (`store`), and its split holds excerpts of the texts.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hornbook.config import DataConfig
from hornbook.data.store import PARTS, Recipe, prepare
from hornbook.data.text import Corpus
from hornbook.errors import ConfigError, DataError, did_you_mean
from hornbook.tokenizers import Tokenizer, build_tokenizer
from hornbook.tokenizers.base import Ids, Unknown

IntArray = NDArray[np.int64]

SCORED = 1 << 18  # tokens of a held-out part of a large text that are scored, by default
NOT_HELD_OUT = (
    "nothing is held out for validation (data.validation 0): what is called validation loss is that "
    "of the training text, and says nothing of new text"
)
SPREAD = 64  # stretches of a stream that they are taken from


@dataclass(frozen=True)
class Split:
    """The texts of train, validation and test: documents, or one stretch of a stream each.

    before: of a stream, the symbol that precedes each part, which its first prediction sees.
    sizes: documents or characters of each part. notes: what is worth knowing, for the user to see.
    recipe: of a large text, whose texts here are excerpts; scored: tokens of a held-out part that
    are kept of it, 0 for all. held_out: whether validation is apart from training; else it is the
    training part again.
    """

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]
    documents: bool
    before: tuple[str, str, str] = ("", "", "")
    notes: tuple[str, ...] = ()
    recipe: Recipe | None = None
    scored: int = 0
    held_out: bool = True

    @property
    def everything(self) -> tuple[str, ...]:
        """The texts of all parts, each once."""
        return (*self.train, *(self.validation if self.held_out else ()), *self.test)

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Documents, or characters of a stream, in train, validation and test."""
        if self.recipe is not None:
            a, b, c, d = self.recipe.bounds
            return b - a, c - b if self.held_out else b - a, d - c
        texts = (self.train, self.validation, self.test)
        one, two, three = (len(t) if self.documents else sum(map(len, t)) for t in texts)
        return one, two, three

    @classmethod
    def whole(cls, corpus: Corpus, tokenizer: Tokenizer, *, unknown: Unknown = "error") -> Split:
        """All of a corpus as the training part."""
        if corpus.large is None:
            documents = corpus.kind == "documents"
            texts = corpus.documents if documents else (corpus.text,)
            return cls(texts, (), (), documents=documents)
        n = corpus.large.documents or corpus.large.characters
        return _large_split(Recipe(corpus.large, (0, n, n, n), 0), 0, tokenizer, unknown)

    def part(self, name: str, tokenizer: Tokenizer, *, unknown: Unknown = "error") -> Part:
        """One of train, validation (or val) and test as tokens. Raises DataError if it is empty."""
        parts = {
            "train": (self.train, self.before[0]),
            "val": (self.validation, self.before[1]),
            "validation": (self.validation, self.before[1]),
            "test": (self.test, self.before[2]),
        }
        if name not in parts:
            raise ConfigError(f"split: found {name!r}, no such part{did_you_mean(name, parts)}")
        if self.recipe is not None:
            return self._stored("validation" if name == "val" else name, tokenizer, unknown)
        texts, before = parts[name]
        if not texts:
            raise _no_such_part(name)
        if self.documents:
            return Part.of_documents(texts, tokenizer, unknown=unknown)
        return Part.of_stream(texts[0], tokenizer, before=before, unknown=unknown)

    def _stored(self, name: str, tokenizer: Tokenizer, unknown: Unknown) -> Part:
        assert self.recipe is not None
        place = "train" if name == "validation" and not self.held_out else name
        stored = prepare(self.recipe, tokenizer, unknown)[0].get(place)
        if stored is None:
            raise _no_such_part(name)
        part = Part(stored.tokens, stored.starts, self.documents, stored.n_bytes)
        return part if name == "train" else part.spread(self.scored, tokenizer)


def _no_such_part(name: str) -> DataError:
    return DataError(
        f"{name}: this corpus has no such part; a stream is split into train and validation "
        "(data.test sets a share for the test)"
    )


def split_corpus(corpus: Corpus, config: DataConfig, tokenizer: Tokenizer | None = None) -> Split:
    """Train, validation and test: shuffled documents 80/10/10, or a stream 90/10 by position.

    Seed 42 gives the split of the lectures (`random.seed(42); random.shuffle(words)`).
    tokenizer: of a large text, which is encoded at once (by characters if left out).
    Raises DataError where a part would be empty.
    """
    documents = corpus.kind == "documents"
    if corpus.large is not None:
        large = corpus.large
        bounds = split_bounds(large.documents or large.characters, corpus, config)
        scored = SCORED if config.validation_tokens is None else config.validation_tokens
        tokenizer = tokenizer or build_tokenizer("char", corpus.symbols, documents=documents)
        recipe = Recipe(large, bounds, config.split_seed)
        return _large_split(recipe, scored, tokenizer, held_out=config.held_out)
    units: Sequence[str] = corpus.text
    if documents:
        shuffled = list(corpus.documents)
        random.Random(config.split_seed).shuffle(shuffled)
        units = shuffled
    _, first, second, n = split_bounds(len(units), corpus, config)
    bounds_of = ((0, first), (first, second), (second, n))
    if documents:
        train, validation, held = (tuple(units[a:b]) for a, b in bounds_of)
        split = Split(train, validation, held, documents=True)
    else:
        text = corpus.text
        train, validation, held = ((text[a:b],) if b > a else () for a, b in bounds_of)
        before = ("", text[first - 1], text[second - 1])
        split = Split(train, validation, held, documents=False, before=before)
    if not config.held_out:
        before = ("", "", split.before[2])
        split = replace(
            split, validation=train, before=before, held_out=False, notes=(NOT_HELD_OUT,)
        )
    return replace(split, notes=(*split.notes, *_describe_repeated(split)))


def split_bounds(n: int, corpus: Corpus, config: DataConfig) -> tuple[int, int, int, int]:
    """Where train, validation and test of n documents, or characters of a stream, begin and end.

    Raises DataError where a part would be empty.
    """
    documents = corpus.kind == "documents"
    test = config.test
    if test is None:
        test = 0.1 if documents and config.held_out else 0.0
    first = int(round(1 - config.validation - test, 12) * n)
    second = int(round(1 - test, 12) * n) if test else n
    if test and second == n and n >= 3:  # few documents: one each, at the cost of training
        second = n - 1
    first = min(first, second - 1) if config.held_out else second
    if first < (1 if documents else 2) or second > n:
        unit = "documents" if documents else "characters"
        raise DataError(
            f"{corpus.source}: found {n} {unit}, too few to hold out {config.validation:.0%} for "
            f"validation and {test:.0%} for the test; give more text"
        )
    return 0, first, second, n


def _large_split(
    recipe: Recipe,
    scored: int,
    tokenizer: Tokenizer,
    unknown: Unknown = "error",
    *,
    held_out: bool = True,
) -> Split:
    stored, note = prepare(recipe, tokenizer, unknown)
    documents, notes = recipe.large.kind == "documents", [note]
    if not held_out:
        stored = {**stored, "validation": stored["train"]}
        notes.append(NOT_HELD_OUT)
    texts = []
    for name in PARTS:
        excerpt = stored[name].excerpt if name in stored else ""
        units = excerpt.split("\n")[:-1] if documents else [excerpt]
        texts.append(tuple(units if excerpt else ()))
    whole = len(stored["validation"].tokens) - 1 if "validation" in stored else 0
    if 0 < scored < whole:
        notes.append(
            f"validation by about {scored:,} of its {whole:,} tokens, spread over the part; "
            "--data.validation-tokens 0 scores all of them"
        )
    train, validation, test = texts
    return Split(
        train, validation, test, documents, notes=tuple(notes), recipe=recipe, scored=scored,
        held_out=held_out,
    )  # fmt: skip


def _describe_repeated(split: Split) -> tuple[str, ...]:
    everything = split.everything
    repeated = len(everything) - len(set(everything))
    if not repeated or not split.documents:
        return ()
    if not split.held_out:
        return (f"{repeated:,} documents stand more than once",)
    known = set(split.train)
    shared = sum(text in known for text in split.validation) / len(split.validation)
    return (
        f"{repeated:,} documents stand more than once; {shared:.1%} of the validation documents "
        "also stand in the training part",
    )


@dataclass(frozen=True)
class Part:
    """Tokens, (N,), and where the units start, (units + 1,). See the module's picture.

    n_bytes: UTF-8 bytes of the text that is predicted, one for the end of each document.
    """

    tokens: Ids
    starts: IntArray
    documents: bool
    n_bytes: int

    @classmethod
    def of_documents(
        cls, documents: Sequence[str], tokenizer: Tokenizer, *, unknown: Unknown = "error"
    ) -> Part:
        """A part of documents, each between two end-of-document ids."""
        for number, document in enumerate(documents, 1):
            if "\n" in document:
                raise DataError(
                    f"document {number} ({document[:20]!r}...): found a line break inside it, "
                    "expected one document a line"
                )
        tokens = tokenizer.encode_documents(documents, unknown=unknown)
        starts = np.flatnonzero(tokens == tokenizer.end_id)
        return cls(tokens, starts, True, tokenizer.count_bytes(tokens[1:]))

    @classmethod
    def of_stream(
        cls, text: str, tokenizer: Tokenizer, *, before: str = "", unknown: Unknown = "error"
    ) -> Part:
        """A part of one stream. Without a symbol `before` it the first is read, not predicted."""
        tokens = tokenizer.encode(text, unknown=unknown)
        if before:
            tokens = np.concatenate([tokenizer.encode(before, unknown=unknown)[-1:], tokens])
        if len(tokens) < 2:
            raise DataError(f"found {len(tokens)} symbol(s), expected at least 2 to predict one")
        starts = np.array([0, len(tokens) - 1])
        return cls(tokens, starts, False, tokenizer.count_bytes(tokens[1:]))

    @property
    def n_targets(self) -> int:
        """How many tokens are predicted."""
        return len(self.tokens) - 1

    @property
    def longest(self) -> int:
        """Tokens predicted in the longest unit."""
        return int(np.diff(self.starts).max())

    def spread(self, limit: int, tokenizer: Tokenizer) -> Part:
        """About `limit` of the targets, spread evenly over the part; itself if it has no more, or
        for 0.

        Whole documents; of a stream stretches as units that begin with the same symbol, because
        each unit predicts the first token of the next.
        """
        if not limit or self.n_targets <= limit:
            return self
        if self.documents:
            step = -(-self.n_targets // limit)
            begins, ends = self.starts[:-1][::step], self.starts[1:][::step]
        else:
            n = max(1, min(SPREAD, limit // SPREAD))
            size = limit // n
            often = np.bincount(self.tokens[:size]).argmax()
            found = []
            for first in np.linspace(0, self.n_targets - size, n).astype(np.int64).tolist():
                places = first + np.flatnonzero(self.tokens[first : first + size + 1] == often)
                found += [(places[0], places[-1])] if len(places) > 1 else []
            begins, ends = np.array(found or [(0, limit)]).T
        pieces = [self.tokens[a:b] for a, b in zip(begins, ends, strict=True)]
        tokens = np.concatenate([*pieces, self.tokens[ends[-1] : ends[-1] + 1]])
        starts = np.concatenate([[0], np.cumsum(ends - begins)])
        return Part(tokens, starts, self.documents, tokenizer.count_bytes(tokens[1:]))

    def chunks(self, length: int, overlap: int = 0, shard: tuple[int, int] = (0, 1)) -> Chunks:
        """The units cut into pieces of at most `length` tokens, `overlap` of them context only.

        shard: (k, n) takes every n-th unit from unit k on.
        """
        stride = length - overlap
        begins, ends = (s[shard[0] :: shard[1]] for s in (self.starts[:-1], self.starts[1:]))
        sizes = ends - begins
        pieces = -(-sizes // stride)
        unit = np.repeat(np.arange(len(sizes)), pieces)
        offset = (np.arange(len(unit)) - np.repeat(np.cumsum(pieces) - pieces, pieces)) * stride
        start = begins[unit] + offset
        count = np.minimum(stride, ends[unit] - start)
        return Chunks(unit, start, np.minimum(overlap, offset), count, offset > 0)


@dataclass(frozen=True)
class Chunks:
    """Pieces of units, (n,) each: their unit, first scored token, context before it, scored tokens.

    continues: the piece begins inside its unit, so nothing else may stand before it in a row.
    """

    unit: IntArray
    start: IntArray
    context: IntArray
    count: IntArray
    continues: NDArray[np.bool_]


class Rows:
    """Chunks packed into rows of `length` tokens, whole, in order; little is left empty.

    A row may hold several documents. Models tell them apart by the end id that starts each.
    """

    def __init__(self, chunks: Chunks, order: IntArray, length: int) -> None:
        self.length = length
        self._start = chunks.start[order] - chunks.context[order]
        self._context = chunks.context[order]
        self._size = self._context + chunks.count[order]
        self._ends = np.concatenate([[0], np.cumsum(self._size)])
        n = len(order)
        breaks = np.append(np.flatnonzero(chunks.continues[order]), n)
        next_break = breaks[np.searchsorted(breaks, np.arange(n), side="right")].tolist()
        # the first chunk that no longer fits in a row that begins with chunk i
        fits = (np.searchsorted(self._ends, self._ends[:-1] + length, side="right") - 1).tolist()
        first, rows = 0, []
        while first < n:
            rows.append(first)
            first = min(fits[first], next_break[first])
        self._rows = np.array([*rows, n])

    def __len__(self) -> int:
        return len(self._rows) - 1

    def positions(self, first: int, last: int) -> tuple[IntArray, NDArray[np.bool_]]:
        """Rows first to last: the token of each place, (rows, length), -1 where it is empty, and
        whether its successor is scored."""
        a, b = self._rows[first], self._rows[last]
        size, begin = self._size[a:b], self._ends[a:b]
        row = np.searchsorted(self._rows, np.arange(a, b), side="right") - 1
        within = np.arange(self._ends[b] - self._ends[a]) - np.repeat(begin - begin[:1], size)
        place = np.repeat((row - first) * self.length + begin - self._ends[self._rows[row]], size)
        positions = np.full((last - first) * self.length, -1)
        positions[place + within] = np.repeat(self._start[a:b], size) + within
        scored = np.zeros((last - first) * self.length, dtype=np.bool_)
        scored[place + within] = within >= np.repeat(self._context[a:b], size)
        shape = (last - first, self.length)
        return positions.reshape(shape), scored.reshape(shape)


def fitting_context(n_targets: int, context_length: int) -> int:
    """The largest power of two up to `context_length` of which a part holds at least two blocks."""
    if n_targets >= 2 * context_length:
        return context_length
    return int(max(2, min(context_length, 2 ** math.floor(math.log2(max(2, n_targets // 2))))))
