"""Does a model memorize its text? Its samples against the training part and held-out text.

Held-out text of the same size is the yardstick, since new text shares spans with old text as well,
and whole lines where a corpus repeats itself. Where documents are unique, no held-out document
appears in the training part, yet a sample may match one by chance. How often is estimated from the
samples that match held-out documents, which the model cannot have copied. Shares have standard
errors, and nothing within them is called memorizing. What a model has learned is another question
(`metrics/verdict.py`).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from hornbook.generate import sample
from hornbook.generate.sampling import make_generator
from hornbook.metrics.copying import CopyStatistics, copy_statistics, mean, percent, share_error
from hornbook.metrics.finding import Finding
from hornbook.metrics.loss import token_nats
from hornbook.metrics.text_index import TEXTS, TextIndex, scored_at_once
from hornbook.models.base import LanguageModel
from hornbook.stages import stage
from hornbook.tokenizers import Tokenizer

SAMPLES = 1000  # documents sampled to measure novelty
MAX_TOKENS = 20_000  # of all samples, where these are more than TEXTS documents
STRETCHES = 8  # samples of a stream
EXCESS = 0.3  # share of verbatim samples beyond the expected from which a model is memorizing
SPANS = 2.0  # times the span that held-out text copies from which a model is memorizing
SHORT = 0.4  # times the span that held-out text copies up to which a model has not learned much
CLEAR = "not memorizing"  # what is said where nothing is wrong
STANDARD_ERRORS = 2.0  # by which each of these has to be exceeded
MORE = 1.25  # times the span that held-out text copies from which a model copies more than chance
SEVERAL = 3.0  # standard errors by which that, or the expected share, has to be exceeded


@dataclass(frozen=True)
class LossAgainstCounts:
    """The loss of a model beside those of unigram and bigram counts on the same held-out text, in
    nats per token."""

    loss: float
    unigram: float
    bigram: float

    @property
    def uses_context(self) -> bool:
        """Whether the loss is nearer that of bigram counts, or below it, than of unigram counts."""
        return self.loss < (self.unigram + min(self.unigram, self.bigram)) / 2


@dataclass(frozen=True)
class Novelty:
    """Samples beside held-out text, and what follows from it.

    Attributes:
        samples, held_out: the statistics of both sets.
        expected: share of samples that would appear in the training part without copying. Where
            documents repeat, that of held-out text; where they do not (`by_chance`), the share of
            samples that match held-out documents, scaled to the number of training documents.
        error: the standard error of `expected`.
        documents: whether the corpus is of documents.
        losses: None where the model was not scored.
        excerpt: whether only part of the training text was searched.
    """

    samples: CopyStatistics
    held_out: CopyStatistics
    expected: float
    error: float
    by_chance: bool
    documents: bool
    losses: LossAgainstCounts | None = None
    excerpt: bool = False

    @property
    def memorizing(self) -> bool:
        """Whether samples are copies more often than new text is, by EXCESS or SPANS and by more
        than STANDARD_ERRORS."""
        own, held = self.samples, self.held_out
        if not held.texts:
            return False
        if own.texts:
            error = math.hypot(share_error(own.verbatim, own.texts), self.error)
            if own.verbatim - self.expected - STANDARD_ERRORS * error > EXCESS:
                return True
        error = math.hypot(own.span_error, SPANS * held.span_error)
        enough = min(own.compared, held.compared) > 1
        return enough and own.span - SPANS * held.span > STANDARD_ERRORS * error

    @property
    def copying(self) -> bool:
        """Whether samples are copies more often than new text is, or share longer spans with the
        training part (by MORE), by SEVERAL standard errors."""
        own, held = self.samples, self.held_out
        if not held.texts or not own.texts:
            return False
        error = math.hypot(share_error(own.verbatim, own.texts), self.error)
        if own.verbatim - self.expected > SEVERAL * error:
            return True
        error = math.hypot(own.span_error, MORE * held.span_error)
        enough = min(own.compared, held.compared) > 1
        return enough and own.span - MORE * held.span > SEVERAL * error

    @property
    def short_spans(self) -> bool:
        """Whether samples share far shorter spans with the training part than new text does."""
        own, held = self.samples, self.held_out
        error = math.hypot(own.span_error, SHORT * held.span_error)
        return not own.texts or SHORT * held.span - own.span > STANDARD_ERRORS * error

    @property
    def learned_little(self) -> bool:
        """Whether the model makes no use of its context yet, or writes what new text never shares with
        the training part."""
        return self.short_spans or not (self.losses is None or self.losses.uses_context)

    @property
    def word(self) -> str:
        """What the samples say: memorizing, copies more than chance, has not learned much yet, or
        nothing of these; or that it cannot be judged."""
        if not self.held_out.texts:
            return "nothing is held out, so memorizing cannot be distinguished from learning"
        if self.memorizing:
            return "memorizing"
        if self.copying:
            return "copies more than chance"
        return "has not learned much yet" if self.learned_little else CLEAR

    @property
    def verdict(self) -> str:
        """The word and the figures behind it, as a sentence."""
        excerpt = " (by an excerpt of the training part)" if self.excerpt else ""
        parts = [self.figures]
        if self.word.startswith("has") and self.losses and not self.losses.uses_context:
            parts.insert(
                0,
                f"its loss of {self.losses.loss:.2f} nats is nearer that of unigram counts "
                f"({self.losses.unigram:.2f}) than of bigram counts ({self.losses.bigram:.2f})",
            )
        return f"{self.word}{excerpt}: {'; '.join(parts)}"

    @property
    def figures(self) -> str:
        """How much the samples copy, beside what is expected, in words."""
        own, held = self.samples, self.held_out
        parts = []
        if own.verbatim or self.documents:
            copies = f"{percent(own.verbatim)} of {own.texts:,} samples appear verbatim in the "
            copies += "training part"
            if held.texts:
                of = "are expected by chance" if self.by_chance else "of held-out text do"
                copies += f", {percent(self.expected)} (± {100 * self.error:.1f}) {of}"
            parts.append(copies)
        beside = f", {held.span:.1f} in held-out text" if held.texts else ""
        parts.append(f"the longest copied span is {own.span:.1f} characters on average{beside}")
        if own.empty:
            parts.append(f"{own.empty:,} of {own.empty + own.texts:,} samples empty")
        return "; ".join(parts)

    def to_json(self) -> dict[str, Any]:
        """As plain data, under the keys of format 2."""
        losses = self.losses
        return {
            "verdict": self.verdict,
            "memorising": self.memorizing,
            "word": self.word,
            "expected": self.expected,
            "error": self.error,
            "level": losses
            and {"loss": losses.loss, "symbols": losses.unigram, "pairs": losses.bigram},
            "samples": self.samples.to_json(),
            "held_out": self.held_out.to_json(),
        }


def novelty_of(
    samples: Sequence[str],
    index: TextIndex,
    losses: LossAgainstCounts | None = None,
    cut: Callable[[str], str] = str,
    compared: int = TEXTS,
) -> Novelty:
    """Samples against the training part, beside as many held-out texts.

    Shares of whole documents are those of all samples and all held-out texts; spans and distances
    are measured of `compared` of each at most. cut: limits a held-out document as samples are.
    """
    split, held = index.split, index.held_out
    by_chance, full = False, [text for text in samples if text]
    if split.documents:
        rest = [cut(text) for text in held]
    else:
        length = max([1, *map(len, samples)])
        rest = [
            text[first : first + length]
            for text in held[:1]
            for first in dict.fromkeys(
                np.linspace(0, max(0, len(text) - length), len(samples)).astype(int).tolist()
            )
        ]
    compared = min(compared, len(full), len(rest) or compared)
    key = tuple(rest), compared
    if key not in index.held_out_statistics:  # the same for all weights that are measured
        index.held_out_statistics[key] = copy_statistics(rest, index, compared)
    own, held_out = copy_statistics(samples, index, compared), index.held_out_statistics[key]
    expected, error = held_out.verbatim, share_error(held_out.verbatim, len(rest))
    unseen = set(held) - index.documents
    if split.documents and unseen and full:
        ratio, hits = len(index.documents) / len(unseen), mean([text in unseen for text in full])
        chance = min(1.0, hits * ratio)
        if chance > expected or not expected:
            by_chance, expected = True, chance
            error = min(1.0, share_error(hits, len(full)) * ratio)
    excerpt = not split.in_memory or index.truncated
    return Novelty(own, held_out, expected, error, by_chance, split.documents, losses, excerpt)


def measure_novelty(
    model: LanguageModel, tokenizer: Tokenizer, index: TextIndex, samples: int = SAMPLES
) -> Novelty:
    """The novelty of fresh samples of a model; the same model gives the same figures.

    Of long documents fewer are drawn (MAX_TOKENS), at least TEXTS. The model is left as it was, and
    no random generator but its own is used.
    """
    with stage("sampling, to compare with the text"):
        texts = _draw(model, tokenizer, index, index.sample_tokens, samples)
    part, unigram, bigram = index.counted_losses(tokenizer)
    nats = token_nats(model, part, batch_tokens=scored_at_once(tokenizer))
    losses = LossAgainstCounts(float(nats.mean()), unigram, bigram)
    with stage("comparing samples with the text"):
        return novelty_of(texts, index, losses, partial(_cut, tokenizer, index.sample_tokens))


def seconds_of_novelty(
    model: LanguageModel, tokenizer: Tokenizer, index: TextIndex
) -> tuple[float, float]:
    """Seconds that scoring a token takes, and seconds that `measure_novelty` will take, estimated
    by drawing a tenth of its samples.

    Builds the index. The model is left as it was.
    """
    tokens = max(1, index.sample_tokens // 10)
    _draw(model, tokenizer, index, 1, SAMPLES)  # the first call takes longer
    begin = time.perf_counter()
    _draw(model, tokenizer, index, tokens, SAMPLES)
    drawing = (time.perf_counter() - begin) * index.sample_tokens / tokens
    part, _, _ = index.counted_losses(tokenizer)
    begin = time.perf_counter()
    token_nats(model, part, batch_tokens=scored_at_once(tokenizer))
    scoring = time.perf_counter() - begin
    texts = list(index.held_out[:SAMPLES])
    if not index.split.documents:
        texts = [text[: index.sample_tokens] for text in texts[:1]] * STRETCHES
    index.build()
    begin = time.perf_counter()
    if texts:
        cut = partial(_cut, tokenizer, index.sample_tokens)
        novelty_of([cut(text) for text in texts], index, cut=cut)
    comparing = (time.perf_counter() - begin) / 2  # held-out texts, and these in place of samples
    return scoring / part.n_targets, scoring + drawing + comparing


@dataclass(frozen=True)
class NoveltyReport:
    """The novelty of the kept weights, and of those of the last step where they are others.

    reason: why it was not judged, where `kept` is None.
    """

    kept: Novelty | None
    last: Novelty | None = None
    best_step: int = 0
    steps: int = 0
    reason: str = "no text is held out that samples could be compared with"

    @property
    def finding(self) -> Finding:
        """What follows from both; good where neither copies."""
        if self.kept is None:
            return Finding(f"not judged: {self.reason}")
        if self.last is None or self.last.word == self.kept.word:
            return Finding(self.kept.verdict, self.kept.word == CLEAR)
        return Finding(
            f"kept weights (step {self.best_step:,}): {self.kept.verdict}. Trained on to step "
            f"{self.steps:,}: {self.last.verdict}",
            False,
        )

    def to_json(self) -> dict[str, Any]:
        """As it is written to report.json."""
        memorizing = any(found is not None and found.memorizing for found in (self.kept, self.last))
        return {
            "verdict": self.finding.text,
            "memorising": memorizing,
            "kept": self.kept and self.kept.to_json(),
            "last": self.last and self.last.to_json(),
        }


def novelty_report(
    kept: LanguageModel,
    last: LanguageModel | None,
    tokenizer: Tokenizer,
    index: TextIndex,
    best_step: int = 0,
    steps: int = 0,
) -> NoveltyReport:
    """The novelty of the kept weights, and of those of the last step where they are others."""
    if not index.held_out:
        return NoveltyReport(None)
    of_kept = measure_novelty(kept, tokenizer, index)
    of_last = None if last is None else measure_novelty(last, tokenizer, index)
    return NoveltyReport(of_kept, of_last, best_step, steps)


def _draw(
    model: LanguageModel, tokenizer: Tokenizer, index: TextIndex, tokens: int, samples: int
) -> list[str]:
    """Samples of at most so many tokens."""
    was_training = model.training
    n = max(TEXTS, min(samples, MAX_TOKENS // max(1, index.sample_tokens)))
    n = n if index.split.documents else STRETCHES
    drawn = sample(model, tokenizer, n=n, max_tokens=tokens, generator=make_generator(0))
    model.train(was_training)
    return [s.text for s in drawn]


def _cut(tokenizer: Tokenizer, tokens: int, text: str) -> str:
    """The first tokens of a text, as many as a sample has."""
    if len(text) * 4 <= tokens:
        return text
    return tokenizer.decode(tokenizer.encode(text, unknown="skip")[:tokens])
