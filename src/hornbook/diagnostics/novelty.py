"""Did it learn, or did it copy? Samples against the training part, beside held-out text.

Of each set of texts: how many stand verbatim in the training part, the longest span copied from it
(suffix array), the nearest training document (edit distance), and how much repeats. Held-out text
of the same size is the yardstick, for new text shares spans with old text as well. A document that
a model makes anew may stand in the training part by chance; how often that is to be expected says
the share of samples that hit the held-out documents, which the model cannot have copied.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hornbook.data.part import Split
from hornbook.generate import sample
from hornbook.models.base import LanguageModel
from hornbook.run import make_generator
from hornbook.tokenizers import Tokenizer

TEXTS = 100  # documents sampled to measure novelty
STRETCHES = 4  # stretches of a stream sampled, and tokens of each
STRETCH = 200
LONGEST = 500  # symbols beyond which no edit distance is measured
SEARCHED = 4_000_000  # symbols of the training text that spans are looked for in
EXCESS = 0.3  # verbatim samples beyond the expected share from which a model is memorising
SPANS = 2.0  # times the held-out text's copied span from which a model is memorising

Ints = NDArray[np.int64]


class SuffixArray:
    """The places of a text in the order of what follows them: any substring is found by bisection.

    Built by prefix doubling (Manber and Myers 1990) on whole arrays.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.places = suffix_order(text)

    def __contains__(self, piece: str) -> bool:
        i = bisect.bisect_left(
            self.places, piece, key=lambda place: self.text[place : place + len(piece)]
        )
        return i < len(self.places) and self.text.startswith(piece, int(self.places[i]))

    def longest_span(self, text: str) -> tuple[int, int]:
        """Where the longest stretch of `text` that stands in the array begins, and its length."""
        start = length = 0
        for i in range(len(text)):
            while i + length < len(text) and text[i : i + length + 1] in self:
                start, length = i, length + 1
        return start, length


def suffix_order(text: str) -> Ints:
    """The places of a text sorted by their suffixes, (len(text),).

    >>> suffix_order("banana").tolist()
    [5, 3, 1, 0, 4, 2]
    """
    points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
    n = len(points)
    rank: Ints = np.unique(points, return_inverse=True)[1].astype(np.int64) + 1  # 0: past the end
    order, length = np.argsort(rank, kind="stable"), 1
    while n > 1:
        later = np.zeros(n, dtype=np.int64)
        later[: max(0, n - length)] = rank[length:]
        key = rank * (int(rank.max()) + 1) + later
        order = np.argsort(key, kind="stable")
        changes = np.concatenate([[1], np.diff(key[order]) != 0]).cumsum()
        rank = np.empty(n, dtype=np.int64)
        rank[order] = changes
        length *= 2
        if changes[-1] == n:
            break
    return order


class Training:
    """The training part, ready to be asked for copies."""

    def __init__(self, split: Split) -> None:
        self.split = split
        self.known = frozenset(split.train) if split.documents else frozenset()

    def holds(self, text: str) -> bool:
        """Whether a text stands there whole: as a document, or as a stretch of the stream."""
        return text in self.known if self.split.documents else text in self.split.train[0]

    @cached_property
    def spans(self) -> SuffixArray:
        """Of the training text, its first SEARCHED symbols; a line break, which no document holds,
        parts the documents."""
        return SuffixArray("\n".join(self.split.train)[:SEARCHED])

    @cached_property
    def _table(self) -> tuple[list[str], NDArray[np.unsignedinteger[Any]], Ints]:
        """The different documents that are short enough, as code points (longest, n), lengths."""
        documents = [d for d in dict.fromkeys(self.split.train) if len(d) <= LONGEST]
        lengths = np.array([len(d) for d in documents])
        symbols = np.frombuffer("".join(documents).encode("utf-32-le", "surrogatepass"), "<u4")
        dtype = np.min_scalar_type(int(symbols.max(initial=0)))
        points = np.zeros((len(documents), int(lengths.max(initial=0))), dtype=dtype)
        points[np.arange(points.shape[1]) < lengths[:, None]] = symbols
        return documents, np.ascontiguousarray(points.T), lengths

    def nearest(self, text: str) -> tuple[str, int] | None:
        """The nearest training document and its edit distance (insert, delete, replace: 1 each).

        None for a stream, or where text or documents are longer than LONGEST. Levenshtein 1966, by
        the table of Wagner and Fischer 1974, for all documents at once.
        """
        if not self.split.documents or len(text) > LONGEST or not self._table[0]:
            return None
        documents, points, lengths = self._table
        dtype = np.int8 if len(points) + len(text) < 127 else np.int16
        distance = np.repeat(np.arange(len(points) + 1, dtype=dtype)[:, None], len(lengths), axis=1)
        for symbol in text:
            replaced = distance[:-1] + (points != ord(symbol))
            distance = distance + 1  # deleted
            np.minimum(distance[1:], replaced, out=distance[1:])
            for i in range(1, len(distance)):  # inserted
                np.minimum(distance[i], distance[i - 1] + 1, out=distance[i])
        distances = distance[lengths, np.arange(len(lengths))]
        best = int(distances.argmin())
        return documents[best], int(distances[best])


@dataclass(frozen=True)
class Copying:
    """How a set of texts stands to the training part.

    texts: how many. verbatim: share that stands there whole. span, longest: symbols of the longest
    copied stretch, mean and largest; covered: its share of the text, mean. distance: mean edit
    distance to the nearest training document (None for a stream). distinct: share of different
    1-, 2-, 3- and 4-grams. different: share of texts that are not a repetition of another.
    """

    texts: int
    verbatim: float
    span: float
    longest: int
    covered: float
    distance: float | None
    distinct: tuple[float, ...]
    different: float
    spans: tuple[int, ...]
    distances: tuple[int, ...]


def copying(texts: Sequence[str], training: Training) -> Copying:
    """The statistics of some texts; empty ones are left out."""
    texts = [text for text in texts if text]
    spans = [training.spans.longest_span(text)[1] for text in texts]
    nearest = [found for text in texts if (found := training.nearest(text))]
    return Copying(
        texts=len(texts),
        verbatim=_mean([training.holds(text) for text in texts]),
        span=_mean(spans),
        longest=max(spans, default=0),
        covered=_mean([span / len(text) for span, text in zip(spans, texts, strict=True)]),
        distance=_mean([d for _, d in nearest]) if nearest else None,
        distinct=tuple(_distinct(texts, n) for n in range(1, 5)),
        different=len(set(texts)) / max(1, len(texts)),
        spans=tuple(spans),
        distances=tuple(d for _, d in nearest),
    )


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else 0.0


def _distinct(texts: Sequence[str], n: int) -> float:
    grams = [text[i : i + n] for text in texts for i in range(len(text) - n + 1)]
    return len(set(grams)) / max(1, len(grams))


@dataclass(frozen=True)
class Novelty:
    """Samples beside held-out text, and what follows from it.

    expected: share of the samples that would stand in the training part by chance: the share that
        hits the held-out documents, for as many documents as are in the training part.
    excerpt: it was compared with excerpts of a large text.
    """

    samples: Copying
    held_out: Copying
    expected: float
    documents: bool
    excerpt: bool = False

    @property
    def memorising(self) -> bool:
        """Whether the samples are copies more than new text could be, by EXCESS and SPANS."""
        return (
            self.samples.verbatim - self.expected > EXCESS
            or self.samples.span > SPANS * self.held_out.span
        )

    @property
    def verdict(self) -> str:
        """In plain words."""
        word = "memorising" if self.memorising else "learned"
        word += " (by an excerpt of the training part)" if self.excerpt else ""
        span = (
            f"the longest copied span is {self.samples.span:.1f} symbols on average, "
            f"{self.held_out.span:.1f} in held-out text"
        )
        if not self.documents:
            return f"{word}: {span}"
        return (
            f"{word}: {self.samples.verbatim:.0%} of {self.samples.texts} samples stand verbatim in "
            f"the training part, {self.expected:.0%} are to be expected by chance; {span}"
        )

    def to_json(self) -> dict[str, Any]:
        """As plain data, without the figures of single texts."""
        sets = {
            name: {k: v for k, v in asdict(copying).items() if k not in ("spans", "distances")}
            for name, copying in (("samples", self.samples), ("held_out", self.held_out))
        }
        return {
            "verdict": self.verdict,
            "memorising": self.memorising,
            "expected": self.expected,
            **sets,
        }


def together(kept: Novelty, last: Novelty | None, best_step: int, steps: int) -> tuple[str, bool]:
    """What follows from the kept weights and those of the last update, in words, and whether one of
    the two memorises."""
    if last is None or last.memorising == kept.memorising:
        return kept.verdict, kept.memorising
    return (
        f"kept weights (update {best_step:,}): {kept.verdict}. Trained on to update {steps:,}: "
        f"{last.verdict}"
    ), True


def compare(samples: Sequence[str], training: Training) -> Novelty:
    """Samples against the training part, beside as many held-out texts of the same length."""
    split = training.split
    held = (*split.validation, *split.test)
    expected = 0.0
    if split.documents:
        unseen = set(held) - training.known
        hits = _mean([text in unseen for text in samples])
        expected = min(1.0, hits * len(training.known) / max(1, len(unseen)))
        rest = list(held[: len(samples)])
    else:
        length = max(1, max((len(text) for text in samples), default=1))
        places = np.linspace(0, max(0, len(held[0]) - length), len(samples)).astype(int).tolist()
        rest = [held[0][place : place + length] for place in places]
    sets = copying(samples, training), copying(rest, training)
    return Novelty(*sets, expected, split.documents, excerpt=split.recipe is not None)


def measure(
    model: LanguageModel, tokenizer: Tokenizer, training: Training, texts: int = TEXTS
) -> Novelty:
    """The novelty of fresh samples of a model; the same model gives the same figures.

    Documents are cut at twice the longest of the training part, and at STRETCH tokens. The model is
    left as it was, and no generator but its own is touched.
    """
    documents, was_training = training.split.documents, model.training
    longest = 2 * max(map(len, training.known), default=STRETCH)
    made = sample(
        model,
        tokenizer,
        n=texts if documents else STRETCHES,
        max_tokens=min(STRETCH, longest),
        generator=make_generator(0),
    )
    model.train(was_training)
    return compare([s.text for s in made], training)


def assess(
    kept: LanguageModel,
    last: LanguageModel | None,
    tokenizer: Tokenizer,
    split: Split,
    best_step: int = 0,
    steps: int = 0,
) -> dict[str, Any]:
    """What report.json says: of the kept weights, and of those of the last update if others."""
    training = Training(split)
    of_kept = measure(kept, tokenizer, training)
    of_last = measure(last, tokenizer, training) if last is not None else None
    verdict, memorising = together(of_kept, of_last, best_step, steps)
    return {
        "verdict": verdict,
        "memorising": memorising,
        "kept": of_kept.to_json(),
        "last": of_last.to_json() if of_last is not None else None,
    }
