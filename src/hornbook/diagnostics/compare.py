"""Runs side by side on the same validation text, and whether a difference is real.

Two models are compared unit by unit (document, or stretch of a stream): what is hard for one is hard
for the other, so the paired difference has a far smaller standard error than the two losses.
Models of the same tokens are compared in nats per token, others in bits per byte.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hornbook.data.part import Part, Split
from hornbook.errors import DataError
from hornbook.evaluate import summarise, token_nats
from hornbook.run import Run

STRETCH = 1000  # bytes of a stream that make a unit
SAMPLES = 200  # documents sampled for the share of new ones
PIECE = 20  # characters of a stream's samples that are looked up in its training part
REAL = 2.0  # standard errors from which a difference is called real
TOKENS = 500  # of a stream's sample

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Standing:
    """One run's row in a comparison. Losses in nats per token with their standard errors.

    fitted: counted in one pass, not trained.
    unseen: validation loss over the documents that do not stand in the training part as well.
    new: share of its samples that are not in the training part (of a stream: of their pieces).
    """

    name: str
    model: str
    path: str
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
    new: float
    samples: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


@dataclass(frozen=True)
class Measured:
    """A run's standing with the losses of each validation unit: nats, tokens and bytes, (units,)."""

    standing: Standing
    fingerprint: str
    tokenizer: str
    nats: Floats
    tokens: Floats
    bytes: Floats


@dataclass(frozen=True)
class Difference:
    """How much worse `other` is than `best`, in `unit`, paired by validation unit."""

    best: str
    other: str
    unit: str
    mean: float
    standard_error: float
    units: int

    @property
    def sentence(self) -> str:
        """Whether the difference is real, in plain words."""
        if self.mean == 0 and self.standard_error == 0:
            return f"{self.best} and {self.other} predict exactly alike"
        size = f"{abs(self.mean):.4f} {self.unit} (standard error {self.standard_error:.4f})"
        ratio = abs(self.mean) / self.standard_error if self.standard_error else math.inf
        if ratio < REAL:
            return (
                f"{self.best} and {self.other} cannot be told apart: {size}, "
                f"{ratio:.1f} standard errors over {self.units:,} units"
            )
        better, worse = (self.best, self.other) if self.mean > 0 else (self.other, self.best)
        return f"{better} is better than {worse} by {size}: real, {ratio:.1f} standard errors"


def fingerprint(split: Split) -> str:
    """The sha256 of the validation texts, in their order."""
    joined = "\n".join(split.validation).encode("utf-8", "surrogatepass")
    return hashlib.sha256(joined).hexdigest()


def measure(run: Run, name: str) -> Measured:
    """Evaluates a run on its validation and test parts and samples from it."""
    split, model, tokenizer = run.split(), run.model, run.tokenizer
    part = split.part("val", tokenizer)
    nats = token_nats(model, part)
    validation = summarise(nats, part, model.context_length)
    edges, widths = _units(part, run)
    sums = np.add.reduceat(nats, edges)
    tokens = np.diff(np.append(edges, len(nats))).astype(np.float64)
    unseen = test = test_error = None
    if split.documents and split.recipe is None:  # of a large text only excerpts are at hand
        known = set(split.train)
        new_ones = np.array([text not in known for text in split.validation])
        if new_ones.any() and not new_ones.all():
            unseen = float(sums[new_ones].sum() / tokens[new_ones].sum())
        elif new_ones.all():
            unseen = validation.nats
    if split.test:
        held = split.part("test", tokenizer)
        evaluation = summarise(token_nats(model, held), held, model.context_length)
        test, test_error = evaluation.nats, evaluation.standard_error
    samples, new = _sample(run, split)
    report, log = run.report, run.log
    standing = Standing(
        name=name,
        model=run.config.model.name,
        path=str(run.path),
        fitted=model.fitted,
        parameters=int(run.facts["n_parameters"]) or model.n_parameters,
        seconds=float(report.get("seconds") or (log[-1]["seconds"] if log else 0.0)),
        tokens=int(report.get("tokens") or (log[-1]["tokens"] if log else 0)),
        validation=validation.nats,
        validation_error=validation.standard_error,
        unseen=unseen,
        test=test,
        test_error=test_error,
        bits_per_byte=validation.bits_per_byte,
        new=new,
        samples=samples,
    )
    return Measured(standing, fingerprint(split), _identity(run), sums, tokens, widths)


def _identity(run: Run) -> str:
    tokenizer = run.tokenizer
    symbols = [tokenizer.symbol(i) for i in range(tokenizer.vocab_size)]
    return f"{tokenizer.kind}:{hashlib.sha256(repr(symbols).encode()).hexdigest()[:12]}"


def _units(part: Part, run: Run) -> tuple[NDArray[np.int64], Floats]:
    """Where units begin among a part's predictions, and the bytes of each: the same text for every
    tokenizer."""
    targets = part.tokens[1:]
    sizes = np.array(
        [len(run.tokenizer.decode_bytes([i])) for i in range(run.tokenizer.vocab_size)]
    )
    if run.tokenizer.end_id is not None:
        sizes[run.tokenizer.end_id] = 1
    widths = sizes[targets]
    if part.documents:
        edges = part.starts[:-1]
    else:
        begins = np.cumsum(widths) - widths
        edges = np.flatnonzero(np.diff(begins // STRETCH, prepend=-1))
    return edges, np.add.reduceat(widths, edges).astype(np.float64)


def _sample(run: Run, split: Split) -> tuple[tuple[str, ...], float]:
    seed = run.config.training.seed
    if split.documents:
        known = set(split.train)
        texts = [s.text for s in run.sample(SAMPLES, max_tokens=200, seed=seed)]
        return tuple(texts[:20]), sum(text not in known for text in texts) / len(texts)
    text = run.sample(1, max_tokens=TOKENS, seed=seed)[0].text
    pieces = [text[i : i + PIECE] for i in range(0, max(1, len(text) - PIECE), PIECE)]
    return (text,), sum(piece not in split.train[0] for piece in pieces) / len(pieces)


def differences(measured: Sequence[Measured]) -> list[Difference]:
    """The best run against each other one, the nearest first.

    Raises DataError where the validation texts differ.
    """
    check_same_text(measured)
    same_tokens = len({m.tokenizer for m in measured}) == 1
    ranked = sorted(measured, key=lambda m: m.standing.bits_per_byte)
    return [_difference(ranked[0], other, same_tokens=same_tokens) for other in ranked[1:]]


def check_same_text(measured: Sequence[Measured]) -> None:
    """Raises DataError, with both fingerprints, unless all were measured on the same text."""
    for other in measured[1:]:
        if other.fingerprint != measured[0].fingerprint:
            raise different_texts(
                measured[0].standing.path,
                measured[0].fingerprint,
                other.standing.path,
                other.fingerprint,
            )


def different_texts(first: str, first_print: str, second: str, second_print: str) -> DataError:
    """The error for two runs that were validated on different texts."""
    return DataError(
        f"{first} and {second} have different validation texts (sha256 {first_print[:16]} and "
        f"{second_print[:16]}), so their losses cannot be compared; train them on the same corpus "
        "and split"
    )


def _difference(best: Measured, other: Measured, *, same_tokens: bool) -> Difference:
    n = min(len(best.nats), len(other.nats))  # a last stretch may belong to one only
    d = other.nats[:n] - best.nats[:n]
    weight = best.tokens[:n]
    unit = "nats per token"
    if not same_tokens:
        d, weight, unit = d / math.log(2), best.bytes[:n], "bits per byte"
    mean = float(d.sum() / weight.sum())
    spread = float(np.sum((d - mean * weight) ** 2))
    error = math.sqrt(spread * n / (n - 1)) / float(weight.sum()) if n > 1 else math.inf
    return Difference(best.standing.name, other.standing.name, unit, mean, error, n)


def with_error(loss: float, error: float | None) -> str:
    """A loss with its standard error, where there is one."""
    return f"{loss:.4f}" if error is None else f"{loss:.4f} ± {error:.4f}"


def columns(standings: Sequence[Standing]) -> list[list[str]]:
    """A table of standings, best first, the header before them."""
    rows = [["run", "parameters", "seconds", "tokens", "validation", "unseen", "test", "bits/byte",
             "new"]]  # fmt: skip
    for s in sorted(standings, key=lambda s: s.bits_per_byte):
        unseen = "-" if s.unseen is None else f"{s.unseen:.4f}"
        test = "-" if s.test is None else with_error(s.test, s.test_error)
        rows.append(
            [
                s.name,
                f"{s.parameters:,}",
                f"{s.seconds:.1f}",
                f"{s.tokens:,}",
                with_error(s.validation, s.validation_error),
                unseen,
                test,
                f"{s.bits_per_byte:.4f}",
                f"{s.new:.0%}",
            ]
        )
    return rows


def compare(runs: Sequence[Run]) -> tuple[list[Measured], list[Difference]]:
    """Measures runs and compares the best with each other one.

    Raises DataError, before any model is run, where their validation texts differ.
    """
    prints = {str(run.path): fingerprint(run.split()) for run in runs}
    (first, expected), *others = prints.items()
    for path, found in others:
        if found != expected:
            raise different_texts(first, expected, path, found)
    names = [run.path.name for run in runs]
    if len(set(names)) < len(names):
        names = [str(run.path) for run in runs]
    measured = [measure(run, name) for run, name in zip(runs, names, strict=True)]
    return measured, differences(measured)
