"""How typical a text is: where its loss lies among the losses of held-out texts.

The report keeps quantiles of those losses, so that a text is judged without reading the corpus again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from hornbook.data.part import Part
from hornbook.metrics.loss import Score, token_nats
from hornbook.models.base import LanguageModel
from hornbook.tokenizers import Tokenizer
from hornbook.tokenizers.base import Ids

LEVELS = (
    0,
    1,
    2,
    5,
    10,
    20,
    30,
    40,
    50,
    60,
    70,
    80,
    90,
    95,
    98,
    99,
    100,
)  # percent, of the quantiles
TOKENS = 1 << 14  # of held-out texts that are measured, at most
LONGEST = 128  # tokens of a line of a stream that are measured
FEWEST_LINES = 20  # of a stream; one with fewer is cut into pieces
PIECE = 64  # tokens

Unit = Literal["documents", "lines", "pieces"]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class HeldOutTexts:
    """Quantiles of the losses of held-out texts at LEVELS, in nats, each measured as `score` does.

    unit: documents; of a stream its lines or, where it has few, pieces of PIECE tokens. count: texts
    that were measured. mean_nats: per token. total_nats: of the whole text.
    """

    unit: Unit
    count: int
    mean_nats: tuple[float, ...]
    total_nats: tuple[float, ...]

    @classmethod
    def measure(cls, model: LanguageModel, tokenizer: Tokenizer, part: Part) -> Self:
        """The losses of texts of a part, evenly spaced, of about TOKENS tokens together."""
        unit: Unit
        if part.documents:
            unit, texts = "documents", replace(part.subset(TOKENS, tokenizer), answers=None)
        else:
            most = LONGEST if model.sliding else min(LONGEST, model.context_length)
            unit, pieces = lines_or_pieces(part.tokens, tokenizer.start_id, most)
            texts = part_of_pieces(pieces, tokenizer)
        nats = token_nats(model, texts, separate=not texts.documents)
        starts, sizes = texts.starts[:-1], np.diff(texts.starts)
        if not texts.documents:  # the last prediction is of what precedes the next piece
            nats[texts.starts[1:] - 1] = 0.0
            sizes = sizes - 1
        totals = np.add.reduceat(nats, starts)
        return cls(unit, len(totals), quantiles(totals / sizes), quantiles(totals))

    def percentile(self, score: Score) -> float:
        """The percentage of these texts whose loss per token is lower than that of a text."""
        return percentile(score.mean, self.mean_nats)

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Back from the JSON of `to_json`, where infinity is null. Quantiles of a stranger's run may
        be out of order."""
        mean, total = (
            tuple(sorted(math.inf if x is None else float(x) for x in data[name]))
            for name in ("mean_nats", "total_nats")
        )
        return cls(data["unit"], data["count"], mean, total)


def lines_or_pieces(tokens: Ids, start_id: int, most: int) -> tuple[Unit, list[Ids]]:
    """Some lines of a stream, evenly spaced, without their ends and cut to `most` tokens; pieces of
    PIECE tokens where it has few lines."""
    ends = np.append(np.flatnonzero(tokens == start_id), len(tokens))
    begins = np.concatenate([[0], ends[:-1] + 1])
    filled = ends > begins
    begins, ends = begins[filled], ends[filled]
    unit: Unit = "lines"
    if len(begins) < FEWEST_LINES:
        size = min(PIECE, most, len(tokens))
        begins = np.arange(0, len(tokens) - size + 1, size)
        unit, ends = "pieces", begins + size
    ends = np.minimum(ends, begins + most)
    step = -(-int((ends - begins).sum()) // TOKENS)
    spans = zip(begins[::step].tolist(), ends[::step].tolist(), strict=True)
    return unit, [tokens[a:b] for a, b in spans]


def part_of_pieces(pieces: Sequence[Ids], tokenizer: Tokenizer) -> Part:
    """Pieces of a stream as units, each after the token that scoring starts from.

    The last prediction of each unit is of the token before the next one.
    """
    start = np.array([tokenizer.start_id], dtype=pieces[0].dtype)
    tokens = np.concatenate([x for piece in pieces for x in (start, piece)] + [start])
    starts = np.concatenate([[0], np.cumsum([len(piece) + 1 for piece in pieces])])
    return Part(tokens, starts, False, tokenizer.count_bytes(tokens[1:]))


def quantiles(losses: Floats) -> tuple[float, ...]:
    """The losses at LEVELS: each is one of them, so that infinite ones do no harm."""
    found = np.percentile(losses, LEVELS, method="inverted_cdf")
    return tuple(round(x, 5) for x in found.tolist())


def percentile(loss: float, at_levels: Sequence[float]) -> float:
    """The level of a loss in percent, interpolated between quantiles at LEVELS.

    >>> percentile(1.5, [1.0] * 8 + [1.0] + [2.0] * 8), percentile(9.0, [1.0] * 17)
    (55.0, 100.0)
    """
    left = int(np.searchsorted(at_levels, loss, side="left"))
    right = int(np.searchsorted(at_levels, loss, side="right"))
    if left < right:  # it is one of the quantiles, or several: their middle
        return (LEVELS[left] + LEVELS[right - 1]) / 2
    if left == 0 or left == len(LEVELS):
        return float(LEVELS[max(0, left - 1)])
    low, high = at_levels[left - 1], at_levels[left]
    share = 0.5 if math.isinf(high) else (loss - low) / (high - low)
    return LEVELS[left - 1] + share * (LEVELS[left] - LEVELS[left - 1])
