"""Stored runs measured on the same validation text and compared."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hornbook.data.split import Split
from hornbook.generate import make_generator, sample
from hornbook.metrics.comparison import (
    Difference,
    MeasuredRun,
    RunResult,
    check_same_text,
    differences,
    not_held_out,
    result_rows,
    share_of_new,
    unit_edges,
)
from hornbook.metrics.loss import summarize, token_nats
from hornbook.runs.directory import StoredRun
from hornbook.table import Tabular
from hornbook.tokenizers import Tokenizer

SAMPLES = 200  # documents sampled for the share of new ones
KEPT = 20  # samples that are shown


@dataclass(frozen=True, repr=False)
class Comparison(Tabular):
    """Measured runs in the order they were given, and the best against each other one."""

    measured: tuple[MeasuredRun, ...]
    differences: tuple[Difference, ...]

    @property
    def results(self) -> tuple[RunResult, ...]:
        """The rows of its table."""
        return tuple(m.result for m in self.measured)

    @property
    def sentences(self) -> list[str]:
        """What the figures say, in words."""
        return not_held_out(self.results) + [d.sentence for d in self.differences]

    def table_rows(self) -> list[list[str]]:
        """The results, best first."""
        return result_rows(self.results)

    def table_notes(self) -> list[str]:
        """What the figures say, in words."""
        return self.sentences


def compare(runs: Sequence[StoredRun]) -> Comparison:
    """Measures runs and compares the best with each other one.

    Raises DataError, before any model is run, where their validation texts differ.
    """
    check_same_text([(str(run.path), fingerprint(run.split())) for run in runs])
    names = [run.path.name for run in runs]
    if len(set(names)) < len(names):
        names = [str(run.path) for run in runs]
    measured = [measure(run, name) for run, name in zip(runs, names, strict=True)]
    return Comparison(tuple(measured), tuple(differences(measured)))


def measure(run: StoredRun, name: str) -> MeasuredRun:
    """Evaluates a run on its validation and test parts and draws samples from it."""
    split, model, tokenizer = run.split(), run.model, run.tokenizer
    part = split.part("val", tokenizer)
    nats = token_nats(model, part)
    validation = summarize(nats, part, model.context_length)
    edges, widths = unit_edges(part, tokenizer)
    sums = np.add.reduceat(nats, edges)
    tokens = np.diff(np.append(edges, len(nats))).astype(np.float64)
    unseen = unseen_bits = test = None
    new = np.ones(len(sums), dtype=np.bool_)
    if split.documents and split.in_memory:  # of a large text only excerpts are at hand
        known = set(split.train)
        new = np.array([text not in known for text in split.validation])
        if new.all():
            unseen, unseen_bits = validation.nats, validation.bits_per_byte
        elif new.any():
            total = float(sums[new].sum())
            unseen = total / float(tokens[new].sum())
            unseen_bits = total / math.log(2) / float(widths[new].sum())
    if split.test:
        held = split.part("test", tokenizer)
        test = summarize(token_nats(model, held), held, model.context_length)
    n, tokens_each = (SAMPLES, 200) if split.documents else (1, 500)
    generator = make_generator(run.config.training.seed)
    drawn = sample(model, tokenizer, n=n, max_tokens=tokens_each, generator=generator)
    texts = [s.text for s in drawn]
    report, log = run.report, run.log
    result = RunResult(
        name=name,
        model=run.config.model.name,
        path=str(run.path),
        tokenizer=_identity(tokenizer),
        held_out=split.held_out,
        fitted=model.fitted,
        parameters=int(run.facts["n_parameters"]) or model.n_parameters,
        seconds=float(report.get("seconds") or (log[-1]["seconds"] if log else 0.0)),
        tokens=int(report.get("tokens") or (log[-1]["tokens"] if log else 0)),
        validation=validation.nats,
        validation_error=validation.standard_error,
        unseen=unseen,
        test=test.nats if test else None,
        test_error=test.standard_error if test else None,
        bits_per_byte=validation.bits_per_byte,
        unseen_bits=unseen_bits,
        test_bits=test.bits_per_byte if test else None,
        new=share_of_new(texts, split),
        samples=tuple(texts[:KEPT]),
    )
    return MeasuredRun(result, fingerprint(split), sums, tokens, widths, new)


def fingerprint(split: Split) -> str:
    """The sha256 of the validation texts, in their order."""
    joined = "\n".join(split.validation).encode("utf-8", "surrogatepass")
    return hashlib.sha256(joined).hexdigest()


def _identity(tokenizer: Tokenizer) -> str:
    """Equal for tokenizers of the same tokens."""
    symbols = [tokenizer.symbol(i) for i in range(tokenizer.vocab_size)]
    return f"{tokenizer.kind}:{hashlib.sha256(repr(symbols).encode()).hexdigest()[:12]}"
