"""Models side by side on the same validation text, and whether their difference is significant.

Two models are compared unit by unit (document, or stretch of a stream). What is hard for one is hard
for the other, so the paired difference has a far smaller standard error than either loss. Models of
the same tokens are compared in nats per token, others in bits per byte.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hornbook.data.part import Part
from hornbook.data.split import Split
from hornbook.errors import DataError
from hornbook.tokenizers import Tokenizer

STRETCH = 1000  # bytes of a stream that make a unit
PIECE = 20  # characters of a stream's sample that are looked up in its training part
FEWEST = 10  # units below which a standard error says too little to judge a difference

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class RunResult:
    """One run's row in a comparison. Losses are in nats per token, with their standard errors.

    Attributes:
        fitted: counted in one pass, not trained.
        tokenizer: equal for runs whose nats per token can be compared.
        held_out: whether the validation part is held out, or is the training part again.
        unseen: validation loss over the documents that do not appear in the training part.
        unseen_bits, test_bits: bits per byte of those. Losses are infinite where a model gives some
            of the text no probability.
        new: share of its samples that do not appear in the training part (of a stream: of their
            pieces); empty samples are not counted.
    """

    name: str
    model: str
    path: str
    tokenizer: str
    held_out: bool
    fitted: bool
    parameters: int
    seconds: float
    tokens: int
    validation: float
    validation_error: float | None
    unseen: float | None
    test: float | None
    test_error: float | None
    bits_per_byte: float
    unseen_bits: float | None
    test_bits: float | None
    new: float
    samples: tuple[str, ...]


@dataclass(frozen=True)
class MeasuredRun:
    """A run's result with the losses of each validation unit, which a paired comparison needs.

    Attributes:
        result: its row.
        fingerprint: sha256 of the validation texts.
        nats, tokens, bytes: of each unit, (units,).
        new: which units are documents that do not appear in the training part, (units,) bool.
    """

    result: RunResult
    fingerprint: str
    nats: Floats
    tokens: Floats
    bytes: Floats
    new: NDArray[np.bool_]


@dataclass(frozen=True)
class Difference:
    """How much worse `other` is than `best`, in `unit`, paired by validation unit.

    mean: infinite where only `other` has an infinite loss, NaN where both have.
    """

    best: str
    other: str
    unit: str
    mean: float
    standard_error: float
    units: int

    @property
    def is_significant(self) -> bool:
        """Whether chance makes such a difference less than once in 20 times, by Student's t."""
        if not math.isfinite(self.mean) or self.units < FEWEST or self.mean == 0:
            return False
        return abs(self.mean) >= t_quantile(self.units - 1) * self.standard_error

    @property
    def sentence(self) -> str:
        """The difference and whether it is significant, in words."""
        if math.isnan(self.mean):
            return f"{self.best} and {self.other} cannot be compared: both have an infinite loss"
        if math.isinf(self.mean):
            return (
                f"{self.other} has an infinite loss: it gives some of the validation text no "
                f"probability; {self.best} does not"
            )
        if self.mean == 0 and self.standard_error == 0:
            return f"{self.best} and {self.other} predict exactly alike"
        better, worse = (self.best, self.other) if self.mean > 0 else (self.other, self.best)
        size = f"{abs(self.mean):.4f} {self.unit}"
        if self.units < FEWEST:
            return (
                f"{better} has a lower loss than {worse} by {size}, over {self.units} units: too few "
                f"to judge whether that is significant (expected {FEWEST} or more)"
            )
        size += f" (standard error {self.standard_error:.4f})"
        ratio = abs(self.mean) / self.standard_error if self.standard_error else math.inf
        needed = t_quantile(self.units - 1)
        why = f"{ratio:.1f} standard errors over {self.units:,} units, {needed:.2f} are needed"
        if not self.is_significant:
            return f"{self.best} and {self.other} do not differ significantly: {size}, {why}"
        return f"{better} is better than {worse} by {size}: significant, {why}"


def t_quantile(freedom: int) -> float:
    """The 0.975 quantile of Student's t, for 9 degrees of freedom or more (to 0.0001).

    The expansion about the normal quantile in 1 / freedom (Abramowitz and Stegun 1964, 26.7.5).
    """
    z = 1.959964
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return float(sum(term / freedom**power for power, term in enumerate(terms)))


def not_held_out(results: Sequence[RunResult]) -> list[str]:
    """A sentence on the runs whose validation text is the one they were trained on."""
    names = ", ".join(result.name for result in results if not result.held_out)
    sentence = (
        f"nothing is held out of the text that {names} learned from: what is called validation "
        "loss there is a training loss, and says nothing of new text"
    )
    return [sentence] if names else []


def unit_edges(part: Part, tokenizer: Tokenizer) -> tuple[NDArray[np.int64], Floats]:
    """Where the units of a part begin among its predictions, (units,), and the bytes of each,
    (units,): the same text for every tokenizer."""
    targets = part.tokens[1:]
    sizes = np.array([len(tokenizer.decode_bytes([i])) for i in range(tokenizer.vocab_size)])
    if tokenizer.end_id is not None:
        sizes[tokenizer.end_id] = 1
    widths = sizes[targets]
    if part.documents:
        edges = part.starts[:-1]
    else:
        begins = np.cumsum(widths) - widths
        edges = np.flatnonzero(np.diff(begins // STRETCH, prepend=-1))
    return edges, np.add.reduceat(widths, edges).astype(np.float64)


def share_of_new(samples: Sequence[str], split: Split) -> float:
    """The share of sampled documents that do not appear in the training part; of a stream, the
    share of the first sample's pieces. Empty documents are not counted."""
    if split.documents:
        known = set(split.train)
        written = [text for text in samples if text]
        return sum(text not in known for text in written) / max(1, len(written))
    text = samples[0]
    pieces = [text[i : i + PIECE] for i in range(0, max(1, len(text) - PIECE), PIECE)]
    return sum(piece not in split.train[0] for piece in pieces) / len(pieces)


def differences(measured: Sequence[MeasuredRun]) -> list[Difference]:
    """The best run against each other one, the nearest first.

    Raises DataError where the validation texts differ.
    """
    check_same_text([(m.result.path, m.fingerprint) for m in measured])
    same_tokens = len({m.result.tokenizer for m in measured}) == 1
    ranked = sorted(measured, key=lambda m: rank(m.result))
    return [difference(ranked[0], other, same_tokens=same_tokens) for other in ranked[1:]]


def rank(result: RunResult) -> float:
    """What results are sorted by: bits per byte, NaN last."""
    return math.inf if math.isnan(result.bits_per_byte) else result.bits_per_byte


def check_same_text(runs: Sequence[tuple[str, str]]) -> None:
    """Raises DataError unless all runs, (path, fingerprint) each, were validated on the same text."""
    (path, expected), *others = runs
    for other, found in others:
        if found != expected:
            raise DataError(
                f"{path} and {other} have different validation texts (sha256 {expected[:16]} and "
                f"{found[:16]}), so their losses cannot be compared; train them on the same corpus "
                "and split"
            )


def difference(
    best: MeasuredRun, other: MeasuredRun, *, same_tokens: bool = True, new: bool = False
) -> Difference:
    """Two runs paired by validation unit, in nats per token, or bits per byte unless `same_tokens`.

    new: over the documents alone that do not appear in the training part.
    """
    n = min(len(best.nats), len(other.nats))  # a last stretch may belong to one only
    units = best.new[:n] if new else np.ones(n, dtype=np.bool_)
    finite = [bool(np.isfinite(m.nats[:n][units]).all()) for m in (best, other)]
    unit = "nats per token" if same_tokens else "bits per byte"
    if not all(finite):
        mean = math.inf if finite[0] else math.nan
        return Difference(best.result.name, other.result.name, unit, mean, math.nan, n)
    d, weight = (other.nats[:n] - best.nats[:n])[units], best.tokens[:n][units]
    if not same_tokens:
        d, weight = d / math.log(2), best.bytes[:n][units]
    n = len(d)
    mean = float(d.sum() / weight.sum())
    squares = float(np.sum((d - mean * weight) ** 2))
    error = math.sqrt(squares * n / (n - 1)) / float(weight.sum()) if n > 1 else math.inf
    return Difference(best.result.name, other.result.name, unit, mean, error, n)


def format_loss(loss: float | None, error: float | None = None) -> str:
    """A loss with its standard error, where there is one; NaN and infinity in words."""
    if loss is None:
        return "-"
    text = "NaN" if math.isnan(loss) else "infinite" if math.isinf(loss) else f"{loss:.4f}"
    return text if error is None else f"{text} ± {error:.4f}"


def result_rows(results: Sequence[RunResult]) -> list[list[str]]:
    """A table of results, best first, the header before them."""
    header = "run parameters seconds tokens validation unseen test bits/byte new"
    rows = [
        [
            result.name,
            f"{result.parameters:,}",
            f"{result.seconds:.1f}",
            f"{result.tokens:,}",
            format_loss(result.validation, result.validation_error),
            format_loss(result.unseen),
            format_loss(result.test, result.test_error),
            format_loss(result.bits_per_byte),
            f"{result.new:.0%}",
        ]
        for result in sorted(results, key=rank)
    ]
    return [header.split(), *rows]
