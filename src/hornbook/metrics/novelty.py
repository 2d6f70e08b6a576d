"""Did it learn, or did it copy? Samples against the training part, beside held-out text.

Of each set of texts: how many stand verbatim in the training part, the longest span copied from it
(suffix array), the nearest training document (edit distance), and how much repeats. Held-out text
of the same size is the yardstick, for new text shares spans with old text as well, and whole lines
where a corpus repeats itself. In a list without repetitions no held-out document stands in the
training part, yet what a model makes anew may, by chance; how often says the share of samples that
hit the held-out documents, which it cannot have copied. Shares have standard errors, and nothing is
called memorising within them.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np

from hornbook.generate import sample
from hornbook.generate.sampling import make_generator
from hornbook.metrics.loss import token_nats
from hornbook.metrics.probes import Verdict
from hornbook.metrics.text_index import TEXTS, Training, room
from hornbook.models.base import LanguageModel
from hornbook.tokenizers import Tokenizer

DRAWN = 1000  # documents sampled to measure novelty
TOKENS = 20_000  # sampled at most, where these are more than TEXTS documents
STRETCHES = 8  # stretches of a stream sampled
EXCESS = 0.3  # verbatim samples beyond the expected share from which a model is memorising
SPANS = 2.0  # times the held-out text's copied span from which a model is memorising
SHORT = 0.4  # times the held-out text's copied span up to which a model has not learned much
SURE = 2.0  # standard errors


@dataclass(frozen=True)
class Copying:
    """How a set of texts stands to the training part.

    texts: how many, `empty` ones not among them. verbatim: share of all that stands there whole;
    the rest is of the first `compared`. span, longest: symbols of the longest copied stretch, mean
    and largest; covered: its share of the text, mean. distance: mean edit distance to the nearest
    training document (None for a stream), of all or of the `among` that are most alike. distinct:
    share of different 1-, 2-, 3- and 4-grams, which falls with the size of a set: compare sets of
    the same. different: share of texts that are not a repetition of another.
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


def copying(texts: Sequence[str], training: Training, compared: int = TEXTS) -> Copying:
    """The statistics of some texts; empty ones are counted and left out."""
    full = [text for text in texts if text]
    some = full[:compared]
    spans = [training.spans.longest_span(text)[1] for text in some]
    distances = training.nearest.distances(some)
    return Copying(
        texts=len(full),
        empty=len(texts) - len(full),
        verbatim=_mean([training.holds(text) for text in full]),
        compared=len(some),
        span=_mean(spans),
        longest=max(spans, default=0),
        covered=_mean([span / len(text) for span, text in zip(spans, some, strict=True)]),
        distance=_mean(distances) if distances else None,
        among=training.nearest.among,
        distinct=tuple(_distinct(some, n) for n in range(1, 5)),
        different=len(set(some)) / max(1, len(some)),
        spans=tuple(spans),
        distances=tuple(distances),
    )


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else 0.0


def _distinct(texts: Sequence[str], n: int) -> float:
    grams = [text[i : i + n] for text in texts for i in range(len(text) - n + 1)]
    return len(set(grams)) / max(1, len(grams))


def share_error(share: float, n: int) -> float:
    """The standard error of a share seen in n draws; not 0 for none or all of few (Agresti and Coull
    1998: as if two more had been drawn, one of each kind)."""
    share = (share * n + 1) / (n + 2)
    return math.sqrt(share * (1 - share) / max(1, n))


@dataclass(frozen=True)
class Level:
    """What a model's loss is worth: nats per token on the same held-out text.

    symbols, pairs: of counts of single symbols and of pairs in the training part.
    """

    loss: float
    symbols: float
    pairs: float

    @property
    def reached(self) -> bool:
        """Whether the model is nearer counts of pairs, or beyond them, than counts of symbols."""
        return self.loss < (self.symbols + min(self.symbols, self.pairs)) / 2


@dataclass(frozen=True)
class Novelty:
    """Samples beside held-out text, and what follows from it.

    expected: share of samples that would stand in the training part without copying, with its
        standard error `error`: that of held-out text where documents repeat; where they do not, what
        hits the held-out documents, for as many documents as are in the training part (`by_chance`).
    level: None where the model is not at hand.
    excerpt: it was compared with excerpts of a large text, or with its beginning alone.
    """

    samples: Copying
    held_out: Copying
    expected: float
    error: float
    by_chance: bool
    documents: bool
    level: Level | None = None
    excerpt: bool = False

    @property
    def memorising(self) -> bool:
        """Whether the samples are copies more than new text is, by EXCESS or SPANS and by more than
        SURE standard errors."""
        own, held = self.samples, self.held_out
        if not held.texts:
            return False
        if own.texts:
            error = math.hypot(share_error(own.verbatim, own.texts), self.error)
            if own.verbatim - self.expected - SURE * error > EXCESS:
                return True
        error = math.hypot(own.span_error, SPANS * held.span_error)
        enough = min(own.compared, held.compared) > 1
        return enough and own.span - SPANS * held.span > SURE * error

    @property
    def short(self) -> bool:
        """Whether the samples share far less with the training part than new text does."""
        own, held = self.samples, self.held_out
        error = math.hypot(own.span_error, SHORT * held.span_error)
        return not own.texts or SHORT * held.span - own.span > SURE * error

    @property
    def word(self) -> str:
        """memorising, learned, or has not learned much yet; or that it cannot be told."""
        if not self.held_out.texts:
            return "nothing is held out, so copying cannot be told from learning"
        if self.memorising:
            return "memorising"
        much = (self.level is None or self.level.reached) and not self.short
        return "learned" if much else "has not learned much yet"

    @property
    def verdict(self) -> str:
        """In plain words."""
        own, held = self.samples, self.held_out
        told = [f"{self.word}{' (by an excerpt of the training part)' if self.excerpt else ''}: "]
        if self.word.startswith("has") and self.level is not None and not self.level.reached:
            told.append(
                f"its loss of {self.level.loss:.2f} nats is not nearer that of counted pairs of "
                f"symbols ({self.level.pairs:.2f}) than of single ones ({self.level.symbols:.2f}); "
            )
        if own.verbatim or self.documents:
            told.append(
                f"{percent(own.verbatim)} of {own.texts:,} samples stand verbatim in the training "
                "part"
            )
            told.append(
                f", {percent(self.expected)} (± {100 * self.error:.1f}) "
                + ("are to be expected by chance; " if self.by_chance else "of held-out text do; ")
                if held.texts
                else "; "
            )
        told.append(f"the longest copied span is {own.span:.1f} symbols on average")
        if held.texts:
            told.append(f", {held.span:.1f} in held-out text")
        if own.empty:
            told.append(f"; {own.empty:,} of {own.empty + own.texts:,} samples empty")
        return "".join(told)

    def to_json(self) -> dict[str, Any]:
        """As plain data, without the figures of single texts."""
        sets = {
            name: {k: v for k, v in asdict(copying).items() if k not in ("spans", "distances")}
            for name, copying in (("samples", self.samples), ("held_out", self.held_out))
        }
        return {
            "verdict": self.verdict,
            "memorising": self.memorising,
            "word": self.word,
            "expected": self.expected,
            "error": self.error,
            "level": asdict(self.level) if self.level is not None else None,
            **sets,
        }


def percent(share: float) -> str:
    """A share in per cent; <1% and >99% where 0% and 100% would be wrong.

    >>> percent(0.0), percent(0.0004), percent(0.25), percent(0.999), percent(1.0)
    ('0%', '<1%', '25%', '>99%', '100%')
    """
    text = f"{share:.0%}"
    if text == "0%" and share > 0:
        return "<1%"
    return ">99%" if text == "100%" and share < 1 else text


def together(kept: Novelty, last: Novelty | None, best_step: int, steps: int) -> Verdict:
    """What follows from the kept weights and those of the last update, in words; good where both
    have learned."""
    if last is None or last.word == kept.word:
        return Verdict(kept.verdict, kept.word == "learned")
    return Verdict(
        f"kept weights (update {best_step:,}): {kept.verdict}. Trained on to update {steps:,}: "
        f"{last.verdict}",
        False,
    )


def compare(
    samples: Sequence[str],
    training: Training,
    level: Level | None = None,
    cut: Callable[[str], str] = str,
    close: int = TEXTS,
) -> Novelty:
    """Samples against the training part, beside as many held-out texts, cut as the samples are.

    Shares of whole documents are those of all samples and all held-out texts; `close` of them at
    most are compared in the rest.
    """
    split, held = training.split, training.held_out
    by_chance, full = False, [text for text in samples if text]
    if split.documents:
        rest = [cut(text) for text in held]
    else:
        length = max(1, max((len(text) for text in samples), default=1))
        rest = [
            text[place : place + length]
            for text in held[:1]
            for place in dict.fromkeys(
                np.linspace(0, max(0, len(text) - length), len(samples)).astype(int).tolist()
            )
        ]
    compared = min(close, len(full), len(rest) or close)
    key = tuple(rest), compared
    if key not in training.yardsticks:  # the same for all weights that are measured
        training.yardsticks[key] = copying(rest, training, compared)
    sets = copying(samples, training, compared), training.yardsticks[key]
    expected, error = sets[1].verbatim, share_error(sets[1].verbatim, len(rest))
    unseen = set(held) - training.known
    if split.documents and unseen and full:
        ratio, hits = len(training.known) / len(unseen), _mean([text in unseen for text in full])
        chance = min(1.0, hits * ratio)
        if chance > expected or not expected:
            by_chance, expected = True, chance
            error = min(1.0, share_error(hits, len(full)) * ratio)
    excerpt = not split.in_memory or training.cut
    return Novelty(*sets, expected, error, by_chance, split.documents, level, excerpt)


def measure(
    model: LanguageModel, tokenizer: Tokenizer, training: Training, texts: int = DRAWN
) -> Novelty:
    """The novelty of fresh samples of a model; the same model gives the same figures.

    Of long documents fewer are drawn (TOKENS), TEXTS at least. The model is left as it was, and no
    generator but its own is touched.
    """
    made = _drawn(model, tokenizer, training, training.length, texts)
    part, symbols, pairs = training.level(tokenizer)
    nats = token_nats(model, part, batch_tokens=room(tokenizer))
    level = Level(float(nats.mean()), symbols, pairs)
    return compare(made, training, level, partial(_cut, tokenizer, training.length))


def rehearse(model: LanguageModel, tokenizer: Tokenizer, training: Training) -> tuple[float, float]:
    """Seconds that scoring a token takes, and that `measure` will take, by a tenth of its samples.

    What they are compared with is made ready. The model is left as it was.
    """
    tokens = max(1, training.length // 10)
    _drawn(model, tokenizer, training, 1, DRAWN)  # whose first call takes longer
    begin = time.perf_counter()
    _drawn(model, tokenizer, training, tokens, DRAWN)
    drawing = (time.perf_counter() - begin) * training.length / tokens
    part, *_ = training.level(tokenizer)
    begin = time.perf_counter()
    token_nats(model, part, batch_tokens=room(tokenizer))
    scoring = time.perf_counter() - begin
    texts = list(training.held_out[:DRAWN])
    if not training.split.documents:
        texts = [text[: training.length] for text in texts[:1]] * STRETCHES
    training.make_ready()
    begin = time.perf_counter()
    if texts:
        cut = partial(_cut, tokenizer, training.length)
        compare([cut(text) for text in texts], training, cut=cut)
    comparing = (time.perf_counter() - begin) / 2  # held-out texts, and these in place of samples
    return scoring / part.n_targets, scoring + drawing + comparing


def _drawn(
    model: LanguageModel, tokenizer: Tokenizer, training: Training, tokens: int, texts: int
) -> list[str]:
    """Samples of so many tokens at most."""
    was_training = model.training
    n = max(TEXTS, min(texts, TOKENS // max(1, training.length)))
    made = sample(
        model,
        tokenizer,
        n=n if training.split.documents else STRETCHES,
        max_tokens=tokens,
        generator=make_generator(0),
    )
    model.train(was_training)
    return [s.text for s in made]


def _cut(tokenizer: Tokenizer, length: int, text: str) -> str:
    """As much of a text as samples have of theirs."""
    if len(text) * 4 <= length:
        return text
    return tokenizer.decode(tokenizer.encode(text, unknown="skip")[:length])


def assess(
    kept: LanguageModel,
    last: LanguageModel | None,
    tokenizer: Tokenizer,
    training: Training,
    best_step: int = 0,
    steps: int = 0,
) -> dict[str, Any]:
    """What report.json says: of the kept weights, and of those of the last update if others."""
    if not training.held_out:
        verdict = "not judged: no text is held out that samples could be compared with"
        return {"verdict": verdict, "memorising": False, "kept": None, "last": None}
    of_kept = measure(kept, tokenizer, training)
    of_last = measure(last, tokenizer, training) if last is not None else None
    return {
        "verdict": together(of_kept, of_last, best_step, steps).text,
        "memorising": of_kept.memorising or (of_last is not None and of_last.memorising),
        "kept": of_kept.to_json(),
        "last": of_last.to_json() if of_last is not None else None,
    }
