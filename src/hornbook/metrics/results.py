"""What is measured of a run, as a row of a table and unit by unit, and runs of one setting together."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hornbook.data.part import Part
from hornbook.data.split import Split
from hornbook.errors import DataError
from hornbook.tokenizers import Tokenizer

STRETCH = 1000  # bytes of a stream that make a unit
PIECE = 20  # characters of a stream's sample that are looked up in its training part

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
        seed: of its training; None where none decides its predictions (counts).
        finished: whether its training has ended.
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
    seed: int | None = None
    finished: bool = True


@dataclass(frozen=True)
class MeasuredRun:
    """A run's result with the losses of each validation unit, which a paired comparison needs.

    Attributes:
        result: its row.
        fingerprint: sha256 of the validation texts.
        nats, tokens, bytes: of each unit, (units,).
        new: which units are documents that do not appear in the training part, (units,) bool.
        settings: all that decide its loss but for the seed, by dotted name.
        documents: whether its units are documents, not stretches of a stream.
    """

    result: RunResult
    fingerprint: str
    nats: Floats
    tokens: Floats
    bytes: Floats
    new: NDArray[np.bool_]
    settings: Mapping[str, Any] = field(default_factory=dict)
    documents: bool = True


@dataclass(frozen=True)
class Group:
    """Runs of one setting, one a seed.

    Attributes:
        name: of the group; of a single run its name.
        runs: in the order of their seeds.
        repeats: runs with a seed that one of `runs` has already; they say nothing new.
        settings: those that differ between the groups that are compared.
    """

    name: str
    runs: tuple[MeasuredRun, ...]
    repeats: tuple[MeasuredRun, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds of its runs; none of counts, which no seed decides."""
        return tuple(m.result.seed for m in self.runs if m.result.seed is not None)

    @cached_property
    def nats(self) -> Floats:
        """The loss of each validation unit, (runs, units)."""
        return np.stack([m.nats for m in self.runs])

    @property
    def deviation(self) -> float | None:
        """The standard deviation of the validation loss between seeds; None of a single one."""
        losses = [m.result.validation for m in self.runs]
        return (
            float(np.std(losses, ddof=1)) if len(losses) > 1 and np.isfinite(losses).all() else None
        )

    @cached_property
    def result(self) -> RunResult:
        """Its row: the means over the runs, and the samples of the first.

        A standard error joins that over documents (of a run, quadratic mean) and that over seeds.
        """
        results = [m.result for m in self.runs]
        if len(results) == 1:
            return replace(results[0], name=self.name)
        names = ("validation", "unseen", "test", "bits_per_byte", "unseen_bits", "test_bits", "new")
        means: dict[str, Any] = {name: _mean([getattr(r, name) for r in results]) for name in names}
        return replace(
            results[0],
            **means,
            name=self.name,
            seed=None,
            seconds=float(np.mean([r.seconds for r in results])),
            tokens=round(float(np.mean([r.tokens for r in results]))),
            validation_error=_joined_error([(r.validation, r.validation_error) for r in results]),
            test_error=_joined_error([(r.test, r.test_error) for r in results]),
        )  # fmt: skip


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if len(known) == len(values) else None


def _joined_error(losses: Sequence[tuple[float | None, float | None]]) -> float | None:
    """The standard error of the mean of losses, each with its own standard error over documents."""
    known = [(loss, error) for loss, error in losses if loss is not None and error is not None]
    if len(known) < len(losses) or not np.isfinite(known).all():
        return None
    documents = float(np.mean([error**2 for _, error in known]))
    return math.sqrt(documents + float(np.var([loss for loss, _ in known], ddof=1)) / len(known))


def as_group(measured: Group | MeasuredRun) -> Group:
    """A run as a group of its own."""
    if isinstance(measured, Group):
        return measured
    return Group(measured.result.name, (measured,))


def of_seeds(group: Group, seeds: Sequence[int]) -> Group:
    """The runs of a group with these seeds, in their order."""
    of_seed = {m.result.seed: m for m in group.runs}
    return Group(group.name, tuple(of_seed[seed] for seed in seeds))


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
    if part.scored is not None:
        widths = widths * part.scored
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


def rank(result: RunResult) -> float:
    """What results are sorted by: bits per byte, NaN last."""
    return math.inf if math.isnan(result.bits_per_byte) else result.bits_per_byte


def bits_per_nat(result: RunResult) -> float:
    """How many bits per byte are one nat per token, over the validation text of a run."""
    return result.bits_per_byte / result.validation if result.validation else 0.0


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
