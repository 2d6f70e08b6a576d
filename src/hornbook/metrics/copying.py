"""How much a set of texts copies the training part, and how much it repeats itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from hornbook.metrics.text_index import TEXTS, TextIndex


@dataclass(frozen=True)
class CopyStatistics:
    """What a set of texts has in common with the training part, and within itself.

    Attributes:
        texts: how many, without the `empty` ones.
        verbatim: share of all texts that appear whole in the training part.
        compared: of how many texts, the first, the rest is measured.
        span, longest: characters of the longest span of a text that is copied, mean and maximum.
        covered: that span's share of its text, mean.
        distance: mean edit distance to the nearest of the `among` most similar training documents;
            None for a stream.
        distinct: share of different 1-, 2-, 3- and 4-grams of characters. It falls with the size of
            a set: compare sets of the same size.
        different: share of texts that repeat no other.
        spans, distances: of each text compared.
    """

    texts: int
    empty: int
    verbatim: float
    compared: int
    span: float
    longest: int
    covered: float
    distance: float | None
    among: int
    distinct: tuple[float, ...]
    different: float
    spans: tuple[int, ...]
    distances: tuple[int, ...]

    @property
    def span_error(self) -> float:
        """The standard error of the mean span."""
        return float(np.std(self.spans or (0,))) / math.sqrt(max(1, self.compared - 1))

    def to_json(self) -> dict[str, Any]:
        """As plain data, without the figures of single texts."""
        return {k: v for k, v in asdict(self).items() if k not in ("spans", "distances")}


def copy_statistics(
    texts: Sequence[str], index: TextIndex, compared: int = TEXTS
) -> CopyStatistics:
    """The statistics of some texts; empty ones are counted and left out."""
    full = [text for text in texts if text]
    some = full[:compared]
    spans = [index.substrings.longest_span(text)[1] for text in some]
    distances = index.nearest.distances(some)
    return CopyStatistics(
        texts=len(full),
        empty=len(texts) - len(full),
        verbatim=mean([text in index for text in full]),
        compared=len(some),
        span=mean(spans),
        longest=max(spans, default=0),
        covered=mean([span / len(text) for span, text in zip(spans, some, strict=True)]),
        distance=mean(distances) if distances else None,
        among=index.nearest.among,
        distinct=tuple(_distinct(some, n) for n in range(1, 5)),
        different=len(set(some)) / max(1, len(some)),
        spans=tuple(spans),
        distances=tuple(distances),
    )


def mean(values: Sequence[float]) -> float:
    """The mean, 0 of nothing."""
    return float(np.mean(values)) if values else 0.0


def _distinct(texts: Sequence[str], n: int) -> float:
    grams = [text[i : i + n] for text in texts for i in range(len(text) - n + 1)]
    return len(set(grams)) / max(1, len(grams))


def share_error(share: float, n: int) -> float:
    """The standard error of a share found in n draws; above 0 even for none or all of few (Agresti
    and Coull 1998: as if two more had been drawn, one of each kind)."""
    share = (share * n + 1) / (n + 2)
    return math.sqrt(share * (1 - share) / max(1, n))


def percent(share: float) -> str:
    """A share in per cent; <1% and >99% where 0% and 100% would be wrong.

    >>> percent(0.0), percent(0.0004), percent(0.25), percent(0.999), percent(1.0)
    ('0%', '<1%', '25%', '>99%', '100%')
    """
    text = f"{share:.0%}"
    if text == "0%" and share > 0:
        return "<1%"
    return ">99%" if text == "100%" and share < 1 else text
