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

from hornbook.data.part import Part
from hornbook.data.split import Split
from hornbook.errors import DataError
from hornbook.generate import make_generator, sample
from hornbook.metrics.loss import summarise, token_nats
from hornbook.runs.directory import StoredRun

STRETCH = 1000  # bytes of a stream that make a unit
SAMPLES = 200  # documents sampled for the share of new ones
PIECE = 20  # characters of a stream's samples that are looked up in its training part
FEWEST = 10  # units below which a standard error says too little to call a difference real
TOKENS = 500  # of a stream's sample

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Standing:
    """One run's row in a comparison. Losses in nats per token with their standard errors.

    fitted: counted in one pass, not trained.
    tokenizer: the same for runs whose nats per token can be compared.
    held_out: whether the validation part is apart from the training part, or is that part again.
    unseen: validation loss over the documents that do not stand in the training part as well.
    unseen_bits, test_bits: bits per byte of those. Losses are infinite where a model gives some of
    the text no probability.
    new: share of its samples that are not in the training part (of a stream: of their pieces);
    empty samples are not counted.
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

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


@dataclass(frozen=True)
class Measured:
    """A run's standing with the losses of each validation unit: nats, tokens and bytes, (units,).

    new: which units are documents that do not stand in the training part, (units,) bool.
    """

    standing: Standing
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
    def is_real(self) -> bool:
        """Whether it would come by chance less than once in twenty times, by Student's t."""
        if not math.isfinite(self.mean) or self.units < FEWEST or self.mean == 0:
            return False
        return abs(self.mean) >= t_quantile(self.units - 1) * self.standard_error

    @property
    def sentence(self) -> str:
        """Whether the difference is real, in plain words: by Student's t, 19 times of 20."""
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
                f"to judge whether that is real (expected {FEWEST} or more)"
            )
        size += f" (standard error {self.standard_error:.4f})"
        ratio = abs(self.mean) / self.standard_error if self.standard_error else math.inf
        needed = t_quantile(self.units - 1)
        told = f"{ratio:.1f} standard errors over {self.units:,} units, {needed:.2f} are needed"
        if not self.is_real:
            return f"{self.best} and {self.other} cannot be told apart: {size}, {told}"
        return f"{better} is better than {worse} by {size}: real, {told}"


def t_quantile(freedom: int) -> float:
    """What Student's t exceeds in 2.5% of cases, for 9 degrees of freedom or more (to 0.0001).

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


def not_held_out(standings: Sequence[Standing]) -> list[str]:
    """A sentence on the runs whose validation text is the one they were trained on."""
    names = [s.name for s in standings if not s.held_out]
    if not names:
        return []
    return [
        f"nothing is held out of the text that {', '.join(names)} learned from: what is called "
        "validation loss there is a training loss, and says nothing of new text"
    ]


def fingerprint(split: Split) -> str:
    """The sha256 of the validation texts, in their order."""
    joined = "\n".join(split.validation).encode("utf-8", "surrogatepass")
    return hashlib.sha256(joined).hexdigest()


def measure(run: StoredRun, name: str) -> Measured:
    """Evaluates a run on its validation and test parts and samples from it."""
    split, model, tokenizer = run.split(), run.model, run.tokenizer
    part = split.part("val", tokenizer)
    nats = token_nats(model, part)
    validation = summarise(nats, part, model.context_length)
    edges, widths = _units(part, run)
    sums = np.add.reduceat(nats, edges)
    tokens = np.diff(np.append(edges, len(nats))).astype(np.float64)
    unseen = unseen_bits = test = test_error = test_bits = None
    new_ones = np.ones(len(sums), dtype=np.bool_)
    if split.documents and split.in_memory:  # of a large text only excerpts are at hand
        known = set(split.train)
        new_ones = np.array([text not in known for text in split.validation])
        if new_ones.any() and not new_ones.all():
            own = float(sums[new_ones].sum())
            unseen = own / float(tokens[new_ones].sum())
            unseen_bits = own / math.log(2) / float(widths[new_ones].sum())
        elif new_ones.all():
            unseen, unseen_bits = validation.nats, validation.bits_per_byte
    if split.test:
        held = split.part("test", tokenizer)
        evaluation = summarise(token_nats(model, held), held, model.context_length)
        test, test_error = evaluation.nats, evaluation.standard_error
        test_bits = evaluation.bits_per_byte
    samples, new = _sample(run, split)
    report, log = run.report, run.log
    standing = Standing(
        name=name,
        model=run.config.model.name,
        path=str(run.path),
        tokenizer=_identity(run),
        held_out=split.held_out,
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
        unseen_bits=unseen_bits,
        test_bits=test_bits,
        new=new,
        samples=samples,
    )
    return Measured(standing, fingerprint(split), sums, tokens, widths, new_ones)


def _identity(run: StoredRun) -> str:
    tokenizer = run.tokenizer
    symbols = [tokenizer.symbol(i) for i in range(tokenizer.vocab_size)]
    return f"{tokenizer.kind}:{hashlib.sha256(repr(symbols).encode()).hexdigest()[:12]}"


def _units(part: Part, run: StoredRun) -> tuple[NDArray[np.int64], Floats]:
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


def _sample(run: StoredRun, split: Split) -> tuple[tuple[str, ...], float]:
    seed = run.config.training.seed
    if split.documents:
        known = set(split.train)
        texts = [
            s.text
            for s in sample(
                run.model, run.tokenizer, n=SAMPLES, max_tokens=200, generator=make_generator(seed)
            )
        ]
        said = [text for text in texts if text]  # an empty one is no document
        return tuple(texts[:20]), sum(text not in known for text in said) / max(1, len(said))
    text = sample(run.model, run.tokenizer, max_tokens=TOKENS, generator=make_generator(seed))[
        0
    ].text
    pieces = [text[i : i + PIECE] for i in range(0, max(1, len(text) - PIECE), PIECE)]
    return (text,), sum(piece not in split.train[0] for piece in pieces) / len(pieces)


def differences(measured: Sequence[Measured]) -> list[Difference]:
    """The best run against each other one, the nearest first.

    Raises DataError where the validation texts differ.
    """
    check_same_text(measured)
    same_tokens = len({m.standing.tokenizer for m in measured}) == 1
    ranked = sorted(measured, key=lambda m: rank(m.standing))
    return [difference(ranked[0], other, same_tokens=same_tokens) for other in ranked[1:]]


def rank(standing: Standing) -> float:
    """What runs are put in order by: bits per byte, infinite where they are no number."""
    return math.inf if math.isnan(standing.bits_per_byte) else standing.bits_per_byte


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


def difference(
    best: Measured, other: Measured, *, same_tokens: bool = True, new: bool = False
) -> Difference:
    """Two runs paired by validation unit, in nats per token, or bits per byte unless `same_tokens`.

    new: over the documents alone that do not stand in the training part.
    """
    n = min(len(best.nats), len(other.nats))  # a last stretch may belong to one only
    units = best.new[:n] if new else np.ones(n, dtype=np.bool_)
    finite = [bool(np.isfinite(m.nats[:n][units]).all()) for m in (best, other)]
    unit = "nats per token" if same_tokens else "bits per byte"
    if not all(finite):
        mean = math.inf if finite[0] else math.nan
        return Difference(best.standing.name, other.standing.name, unit, mean, math.nan, n)
    d, weight = (other.nats[:n] - best.nats[:n])[units], best.tokens[:n][units]
    if not same_tokens:
        d, weight = d / math.log(2), best.bytes[:n][units]
    n = len(d)
    mean = float(d.sum() / weight.sum())
    spread = float(np.sum((d - mean * weight) ** 2))
    error = math.sqrt(spread * n / (n - 1)) / float(weight.sum()) if n > 1 else math.inf
    return Difference(best.standing.name, other.standing.name, unit, mean, error, n)


def in_words(loss: float | None) -> str:
    """A loss; those that are none in words."""
    if loss is None:
        return "-"
    if math.isnan(loss):
        return "no number"
    return "infinite" if math.isinf(loss) else f"{loss:.4f}"


def with_error(loss: float | None, error: float | None) -> str:
    """A loss with its standard error, where there is one."""
    return in_words(loss) if error is None else f"{in_words(loss)} ± {error:.4f}"


def columns(standings: Sequence[Standing]) -> list[list[str]]:
    """A table of standings, best first, the header before them."""
    rows = [["run", "parameters", "seconds", "tokens", "validation", "unseen", "test", "bits/byte",
             "new"]]  # fmt: skip
    for s in sorted(standings, key=rank):
        rows.append(
            [
                s.name,
                f"{s.parameters:,}",
                f"{s.seconds:.1f}",
                f"{s.tokens:,}",
                with_error(s.validation, s.validation_error),
                in_words(s.unseen),
                with_error(s.test, s.test_error),
                in_words(s.bits_per_byte),
                f"{s.new:.0%}",
            ]
        )
    return rows


def compare(runs: Sequence[StoredRun]) -> tuple[list[Measured], list[Difference]]:
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
