"""A part of a split as tokens.

One array of tokens, cut into units: the documents, or the one stream. Unit u reads
`tokens[starts[u]:starts[u + 1]]` and predicts the same one further on, so that every token is
predicted exactly once:

    tokens  . e m m a . o l i v i a .        (`.` is the end-of-document id)
    starts  0         5             12

The arrays are in memory, or memory maps of files in the cache (`tokens`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hornbook.data.packing import Chunks, IntArray
from hornbook.errors import DataError
from hornbook.tokenizers.base import LINE_BREAK, Ids, Tokenizer, Unknown

STRETCHES = 64  # of a stream that a subset is taken from
SPREAD = 8  # stretches of a stream that are parts of their own
MOST_HELD_BACK = 2  # times what is asked for, so that documents stay whole


@dataclass(frozen=True)
class Part:
    """Tokens, (N,), and where the units start, (units + 1,). See the module's picture.

    n_bytes: UTF-8 bytes of the text that is predicted, one for the end of each document. answers: of
    prompts with answers which tokens are of an answer, (N,): only their predictions are trained and
    scored, and `n_bytes` is of them; None where all are.
    """

    tokens: Ids
    starts: IntArray
    documents: bool
    n_bytes: int
    answers: NDArray[np.bool_] | None = None

    @classmethod
    def of_documents(
        cls, documents: Sequence[str], tokenizer: Tokenizer, *, unknown: Unknown = "error"
    ) -> Part:
        """A part of documents, each between two end-of-document ids."""
        end = tokenizer.document_end
        if broken := next((d for d in documents if end in d), None):
            what = "a line break" if end == LINE_BREAK else "a null character"
            expected = "one document a line" if end == LINE_BREAK else "text, which has none"
            raise DataError(
                f"document {documents.index(broken) + 1} ({broken[:20]!r}...): found {what} "
                f"inside it, expected {expected}"
            )
        tokens = tokenizer.encode_documents(documents, unknown=unknown)
        starts = np.flatnonzero(tokens == tokenizer.end_id)
        return cls(tokens, starts, True, tokenizer.count_bytes(tokens[1:]))

    @classmethod
    def of_stream(
        cls, text: str, tokenizer: Tokenizer, *, before: str = "", unknown: Unknown = "error"
    ) -> Part:
        """A part of one stream. Without a character `before` it the first is read, not predicted."""
        tokens = tokenizer.encode(text, unknown=unknown)
        if before:
            tokens = np.concatenate([tokenizer.encode(before, unknown=unknown)[-1:], tokens])
        refuse_too_few(len(tokens))
        starts = np.array([0, len(tokens) - 1])
        return cls(tokens, starts, False, tokenizer.count_bytes(tokens[1:]))

    @property
    def n_targets(self) -> int:
        """How many tokens are predicted."""
        return len(self.tokens) - 1

    @property
    def scored(self) -> NDArray[np.bool_] | None:
        """Which predictions are trained and scored, (n_targets,); None where all are."""
        return None if self.answers is None else self.answers[1:]

    @property
    def n_scored(self) -> int:
        """How many predictions are trained and scored."""
        return self.n_targets if self.answers is None else int(np.count_nonzero(self.answers[1:]))

    def prompts(self, tokenizer: Tokenizer, n: int) -> list[tuple[str, str]]:
        """The first prompt and answer of each of n documents, evenly spaced; none of other text.

        Special tokens of a template are in both (`Tokenizer.decode_written`).
        """
        if self.answers is None:
            return []
        units = len(self.starts) - 1
        found = []
        for unit in np.unique(np.linspace(0, units - 1, min(n, units)).astype(int)).tolist():
            first, last = int(self.starts[unit]) + 1, int(self.starts[unit + 1])
            answer = self.answers[first : last + 1]
            begin = first + int(answer.argmax())
            rest = np.flatnonzero(~self.answers[begin : last + 1])
            end = begin + int(rest[0]) if len(rest) else last
            prompt, text = self.tokens[first:begin], self.tokens[begin:end]
            found.append((tokenizer.decode_written(prompt), tokenizer.decode_written(text)))
        return found

    @property
    def longest(self) -> int:
        """Tokens predicted in the longest unit."""
        return int(np.diff(self.starts).max())

    def subset(self, limit: int, tokenizer: Tokenizer) -> Part:
        """About `limit` of the targets, evenly spaced; the part itself if it has no more, or for 0.

        Whole documents; of a stream stretches as units that begin with the same token, because
        each unit predicts the first token of the next.
        """
        if not limit or self.n_targets <= limit:
            return self
        if self.documents:
            step = -(-self.n_targets // limit)
            begins, ends = self.starts[:-1][::step], self.starts[1:][::step]
        else:
            n = max(1, min(STRETCHES, limit // STRETCHES))
            size = limit // n
            often = np.bincount(self.tokens[:size]).argmax()
            found = []
            for first in np.linspace(0, self.n_targets - size, n).astype(np.int64).tolist():
                at = first + np.flatnonzero(self.tokens[first : first + size + 1] == often)
                found += [(at[0], at[-1])] if len(at) > 1 else []
            begins, ends = np.array(found or [(0, limit)]).T
        return self._joined(begins, ends, tokenizer)

    def units(self, chosen: np.ndarray[Any, np.dtype[np.bool_]], tokenizer: Tokenizer) -> Part:
        """The chosen units, (units,), which all begin with the same token."""
        return self._joined(self.starts[:-1][chosen], self.starts[1:][chosen], tokenizer)

    def stretch(self, first: int, end: int, tokenizer: Tokenizer) -> Part:
        """The targets from `first` up to `end`, not included, as one unit."""
        tokens = self.tokens[first : end + 1]
        starts = np.array([0, end - first])
        return Part(tokens, starts, self.documents, tokenizer.count_bytes(tokens[1:]))

    def hold_back(self, n: int, tokenizer: Tokenizer) -> tuple[Part, Part]:
        """All but about the last n of the targets, and those: whole documents, the end of a stream, or
        that of a document which is too long to be held back whole.

        n: at least one, and not all.
        """
        first, units = self.n_targets - n, self.starts[:-1]
        if self.documents:
            begin = int(units[np.searchsorted(units, first, "right") - 1])
            if begin and self.n_targets - begin <= MOST_HELD_BACK * n:
                first = begin
        kept = np.append(units[units < first], first)
        rest = np.append(first, self.starts[self.starts > first])
        held = replace(self, tokens=self.tokens[first:], starts=rest - first)
        if self.answers is not None:
            held = replace(held, answers=self.answers[first:])
        targets = held.tokens[1:] if held.scored is None else held.tokens[1:][held.scored]
        held = replace(held, n_bytes=tokenizer.count_bytes(targets))
        return (
            Part(
                self.tokens[: first + 1],
                kept,
                self.documents,
                self.n_bytes - held.n_bytes,
                None if self.answers is None else self.answers[: first + 1],
            ),
            held,
        )

    def _joined(self, begins: IntArray, ends: IntArray, tokenizer: Tokenizer) -> Part:
        """The tokens from each of `begins` up to one of `ends`, as units."""
        pieces = [self.tokens[a:b] for a, b in zip(begins, ends, strict=True)]
        tokens = np.concatenate([*pieces, self.tokens[ends[-1] : ends[-1] + 1]])
        starts = np.concatenate([[0], np.cumsum(ends - begins)])
        if self.answers is None:
            return Part(tokens, starts, self.documents, tokenizer.count_bytes(tokens[1:]))
        kept = [self.answers[a + 1 : b + 1] for a, b in zip(begins, ends, strict=True)]
        answers = np.concatenate([self.answers[:1], *kept])  # the end of a document is of its own
        n_bytes = tokenizer.count_bytes(tokens[1:][answers[1:]])
        return Part(tokens, starts, self.documents, n_bytes, answers)

    def spread(self, limit: int, block: int, tokenizer: Tokenizer) -> list[Part]:
        """About `limit` of the targets, evenly spaced, as parts that are scored as this one is.

        Whole documents; of a stream stretches of whole blocks of that length, so that each prediction
        sees as much as in the whole part. The part itself if it has no more.
        """
        if self.documents or self.n_targets <= limit:
            return [self.subset(limit, tokenizer)]
        block = min(block, limit)
        n = min(SPREAD, limit // block)
        size = limit // n // block * block
        parts = []
        for first in np.linspace(0, self.n_targets - size, n).astype(np.int64).tolist():
            parts.append(self.stretch(first, first + size, tokenizer))
        return parts

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


def fitting_context(n_targets: int, context_length: int) -> int:
    """The largest power of two up to `context_length` of which a part holds at least two blocks."""
    if n_targets >= 2 * context_length:
        return context_length
    return int(max(2, min(context_length, 2 ** math.floor(math.log2(max(2, n_targets // 2))))))


def refuse_too_few(n_tokens: int) -> None:
    """Raises DataError where there are not enough tokens to predict one of them."""
    if n_tokens < 2:
        raise DataError("found no token to predict, expected at least one: the text is too short")
