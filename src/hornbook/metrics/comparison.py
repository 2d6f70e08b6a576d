"""Models side by side on the same validation text, and whether their difference is significant.

Two models are compared unit by unit (document, or stretch of a stream). What is hard for one is hard
for the other, so the paired difference has a far smaller standard error than either loss. Models of
the same tokens are compared in nats per token, others in bits per byte.

Runs that differ by their seed alone are one group (`metrics.groups`), and groups are compared:
another text and other seeds would both give another difference, so both are in its standard error.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from hornbook.metrics.results import (
    Floats,
    Group,
    MeasuredRun,
    as_group,
    check_same_text,
    of_seeds,
    rank,
)
from hornbook.metrics.student import LEVEL, Parts, half_width, holm, p_of_mean

FEWEST = 10  # units below which a standard error says too little to judge a difference


@dataclass(frozen=True)
class Difference:
    """How much worse `other` is than `best`, in `unit`, paired by validation unit.

    Attributes:
        mean: infinite where only `other` has an infinite loss, NaN where both have.
        standard_error: over documents and, where it is known, over seeds.
        units: documents, or stretches of a stream.
        parts: the variances that make the standard error, over units and over seeds, with their
            degrees of freedom; none: that over units alone.
        seeds: in words, which seeds; empty where no seed decides either (counts).
        seeds_error: the part of the standard error that is due to the seeds; None where it is
            unknown, since a setting has one seed.
        documents: whether the units are documents.
        level: at which it is tested; below 0.05 where it is one of several `comparisons` (Holm).
    """

    best: str
    other: str
    unit: str
    mean: float
    standard_error: float
    units: int
    parts: tuple[tuple[float, float], ...] = ()
    seeds: str = "one seed each"
    seeds_error: float | None = None
    documents: bool = True
    level: float = LEVEL
    comparisons: int = 1

    @property
    def is_testable(self) -> bool:
        """Whether there are enough units, with finite losses, to judge."""
        return math.isfinite(self.mean) and self.units >= FEWEST

    @property
    def p(self) -> float:
        """How often chance alone makes such a difference (`metrics.student`); not corrected."""
        return p_of_mean(self.mean, self._parts)

    @property
    def interval(self) -> float:
        """Half the confidence interval at its level: how large a difference is significant."""
        return half_width(self._parts, self.level)

    @property
    def _parts(self) -> Parts:
        return self.parts or ((self.standard_error**2, self.units - 1.0),)

    @property
    def is_significant(self) -> bool:
        """Whether chance alone makes such a difference more rarely than its level."""
        return self.is_testable and abs(self.mean) > self.interval

    @property
    def lacks_seeds(self) -> bool:
        """Whether it would be significant, did its number of seeds not make t so large."""
        many = half_width([(variance, math.inf) for variance, _ in self._parts], self.level)
        several = self.seeds_error is not None and len(self.parts) > 1
        return several and self.is_testable and many < abs(self.mean) <= self.interval

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
        parts = ""
        if self.seeds_error is not None and self.seeds:
            documents = math.sqrt(max(0.0, self.standard_error**2 - self.seeds_error**2))
            what = "documents" if self.documents else "text"
            parts = f": {what} {documents:.4f}, seeds {self.seeds_error:.4f}"
        size += f" (standard error {self.standard_error:.4f}{parts})"
        if self.seeds_error is None and self.seeds:
            size += f" on {'these documents' if self.documents else 'this text'}, {self.seeds}"
        ratio = abs(self.mean) / self.standard_error if self.standard_error else math.inf
        seeds = f" and {self.seeds}" if parts else ""
        needed = self.interval / self.standard_error if self.standard_error else 0.0
        several = f" for {self.comparisons} comparisons (Holm)" if self.comparisons > 1 else ""
        why = (
            f"{ratio:.1f} standard errors over {self.units:,} units{seeds}, {needed:.2f} are "
            f"needed{several}"
        )
        if not self.is_significant:
            return f"{self.best} and {self.other} do not differ significantly: {size}, {why}"
        return f"{better} is better than {worse} by {size}: significant, {why}"


def differences(measured: Sequence[Group | MeasuredRun]) -> list[Difference]:
    """The best group against each other one, the nearest first; a run is a group of its own.

    Which is the best is known only from the same figures, so each test is corrected for all pairs of
    groups, not for these alone. Raises DataError where the validation texts differ.
    """
    groups = [as_group(m) for m in measured]
    check_same_text([(m.result.path, m.fingerprint) for group in groups for m in group.runs])
    same_tokens = len({group.result.tokenizer for group in groups}) == 1
    ranked = sorted(groups, key=lambda group: rank(group.result))
    usual = _usual_variance(groups, same_tokens=same_tokens)
    pairs = [
        difference(best, other, same_tokens=same_tokens, usual=usual)
        for i, best in enumerate(ranked)
        for other in ranked[i + 1 :]
    ]
    return corrected(pairs)[: len(ranked) - 1]


def corrected(pairs: Sequence[Difference]) -> list[Difference]:
    """Differences tested together: each at its level by Holm (`metrics.student.holm`)."""
    tested = [d for d in pairs if d.is_testable]
    levels = iter(holm([d.p for d in tested]))
    return [
        replace(d, level=next(levels), comparisons=len(tested)) if d.is_testable else d
        for d in pairs
    ]


def difference(
    best: Group | MeasuredRun,
    other: Group | MeasuredRun,
    *,
    same_tokens: bool = True,
    new: bool = False,
    usual: tuple[float, float] | None = None,
) -> Difference:
    """Two groups paired by validation unit, in nats per token, or bits per byte unless `same_tokens`.

    The variance of the mean difference is that over units (of a ratio: all nats over all tokens,
    Cochran 1977, 2.11) plus that over seeds. What a seed does to single documents is counted in both,
    so the sum is rather too large than too small (Cameron, Gelbach and Miller 2011, who subtract it).

    new: over the documents alone that do not appear in the training part. usual: the variance over the
    seeds of other groups, with its degrees of freedom, which stands for that of two single runs.
    """
    a, b = as_group(best), as_group(other)
    first = a.runs[0]
    n = min(len(first.nats), len(b.runs[0].nats))  # a last stretch may belong to one only
    units = first.new[:n] if new else np.ones(n, dtype=np.bool_)
    unit = "nats per token" if same_tokens else "bits per byte"
    result = Difference(a.name, b.name, unit, 0.0, math.nan, n, documents=first.documents)
    finite = [bool(np.isfinite(group.nats[:, :n][:, units]).all()) for group in (a, b)]
    if not all(finite):
        return replace(result, mean=math.inf if finite[0] else math.nan)
    scale = 1.0 if same_tokens else 1.0 / math.log(2)
    weight = (first.tokens if same_tokens else first.bytes)[:n][units]
    common = sorted(set(a.seeds) & set(b.seeds))
    if len(common) > 1:
        a, b = of_seeds(a, common), of_seeds(b, common)
    losses = [group.nats[:, :n][:, units] * scale for group in (a, b)]
    means = [rows.sum(axis=1) / weight.sum() for rows in losses]  # of each run
    d = losses[1].mean(axis=0) - losses[0].mean(axis=0)
    n = len(d)
    mean = float(d.sum() / weight.sum())
    squares = float(np.sum((d - mean * weight) ** 2))
    over_units = squares * n / (n - 1) / float(weight.sum()) ** 2 if n > 1 else math.inf
    seeds, parts = _over_seeds(a, b, means, usual)
    over_seeds = sum(variance for variance, _ in parts or ())
    return replace(
        result,
        mean=mean,
        standard_error=math.sqrt(over_units + over_seeds),
        units=n,
        parts=((over_units, n - 1.0), *(parts or ())) if n > 1 else (),
        seeds=seeds,
        seeds_error=None if parts is None else math.sqrt(over_seeds),
    )


def _usual_variance(groups: Sequence[Group], *, same_tokens: bool) -> tuple[float, float] | None:
    """The variance over seeds, pooled over the groups that have several finite runs, and its degrees
    of freedom; None where no group has."""
    squares = freedom = 0.0
    for group in groups:
        first = group.runs[0]
        n = min(len(first.tokens), group.nats.shape[1])
        weight = first.tokens[:n] if same_tokens else first.bytes[:n] * math.log(2)
        means = group.nats[:, :n].sum(axis=1) / weight.sum()
        if len(group.seeds) > 1 and np.isfinite(means).all():
            squares += float(np.var(means)) * len(means)
            freedom += len(means) - 1
    return (squares / freedom, freedom) if freedom else None


def _over_seeds(
    a: Group, b: Group, means: Sequence[Floats], usual: tuple[float, float] | None
) -> tuple[str, list[tuple[float, float]] | None]:
    """Which seeds, in words, and the variances over them with their degrees of freedom; None where
    they are unknown. means: the losses of the runs of `a` and of `b`. usual: see `difference`."""
    n = [len(group.seeds) for group in (a, b)]
    if not any(n):
        return "", []  # counts of both
    if a.seeds == b.seeds and n[0] > 1:  # what is drawn alike pairs the runs
        return f"{n[0]} seeds in pairs", [
            (float(np.var(means[1] - means[0], ddof=1)) / n[0], n[0] - 1)
        ]
    several = [float(np.var(m, ddof=1)) if len(m) > 1 else math.nan for m in means]
    if max(n) < 2:
        words = "one seed each" if min(n) else "one seed"
        if usual is None:
            return words, None
        variance, freedom = usual
        return f"{words}, taken to vary as the others do", [(sum(n) * variance, freedom)]
    if 1 in n:  # the variance of the one that has several seeds stands for both
        known = n.index(max(n))
        words = f"{n[0]} and {n[1]} seeds, taken to vary alike"
        return words, [(several[known] * (1.0 + 1.0 / n[known]), n[known] - 1)]
    words = " and ".join(str(k) for k in n if k) + " seeds"
    return words, [(v / k, k - 1) for v, k in zip(several, n, strict=True) if k]
