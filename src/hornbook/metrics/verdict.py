"""The verdict on a trained model: one word, one sentence, and what to do.

It is never more favorable than the figures: the word is `learned` only for a model whose loss is below
that of the best counts of the same text by more than chance, that went through its text, and whose
samples are no more copied than new text is. Everything here is a pure function of figures that are
measured elsewhere.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from hornbook.metrics.counts import Mixed
from hornbook.metrics.finding import Finding
from hornbook.metrics.novelty import Novelty

BARELY = 0.5  # passes through the training text below which it was barely read
STANDARD_ERRORS = 2.0  # by which a difference has to be above 0 to be called one
RISE = 0.02  # nats, or this share of the loss, by which the last loss is far above the best
SAME_ORDER = 0.005  # nats per token up to which one order of counts is as good as another
FIRST_LOSS = 1.25  # times ln V from which the first weights are at fault


class Word(StrEnum):
    """What a verdict comes down to."""

    UNTRAINED = "not trained"
    UNJUDGED = "not judged"
    INFINITE = "impossible tokens"
    MEMORIZING = "memorizing"
    NOTHING = "has learned nothing yet"
    COPYING = "copies more than chance"
    COUNTS_BETTER = "counts are better"
    LITTLE = "has not learned much yet"
    BARELY_READ = "has barely read its text"
    AS_GOOD = "as good as counts"
    OVERFITTED = "overfitted"
    COUNTED = "counted"
    LEARNED = "learned"


GOOD = (Word.LEARNED, Word.COUNTED, Word.AS_GOOD)
OVERHEAD = 0.2  # minutes of a time budget that are not for training


@dataclass(frozen=True, kw_only=True)
class AgainstCounts:
    """The best n-grams of the same text.

    Attributes:
        order, loss: theirs; the loss in nats per token.
        behind: how far the model's loss is above theirs, paired by document. error: its standard error.
        share: of the training part that was counted.
    """

    order: int
    loss: float
    behind: float
    error: float
    share: float = 1.0

    @property
    def better(self) -> bool:
        """Whether the counts are better by more than chance."""
        return self.behind > STANDARD_ERRORS * self.error

    @property
    def worse(self) -> bool:
        """Whether the model is better by more than chance."""
        return -self.behind > STANDARD_ERRORS * self.error

    @property
    def name(self) -> str:
        """Which counts they are, in words."""
        part = "" if self.share >= 1 else f", counted on {self.share:.2g} of the text"
        return f"n-grams of order {self.order}{part}"


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What a verdict is made from. Losses are in nats per token.

    Attributes:
        loss, standard_error: of the kept weights on the validation part.
        uniform: ln V, the loss of a model that knows nothing.
        held_out: whether the validation part is apart from the training part.
        fitted: whether the model is one of counts. counted: whether counts are a part of it.
        alone: of its other parts, where the model copies, what they are worth alone: a sentence each.
        passes: through the training part, of the kept weights.
        novelty: of samples of the kept weights; None where nothing is held out.
        counts, mixture: None where they were not measured.
        training_loss: of the kept weights, of a few batches.
        first_loss: of the first step. first_weights: the setting that chose them, in words.
        best_step, steps: which weights are kept, and when training ended.
        last_loss: the validation loss at the end.
        minutes: that training took. overhead: those of a time budget that were not for training.
        minutes_to_counts: by its learning curve, until it is as good as the counts; infinite where it
            does not get there, None where that is not known.
        own_order: of counts that are a part of the model itself.
        may_go_on: whether more steps would be made of more minutes: not of a small text, which more
            passes would memorize.
    """

    loss: float
    standard_error: float | None
    uniform: float
    held_out: bool = True
    fitted: bool = False
    counted: bool = False
    alone: tuple[str, ...] = ()
    passes: float | None = None
    novelty: Novelty | None = None
    counts: AgainstCounts | None = None
    mixture: Mixed | None = None
    training_loss: float | None = None
    first_loss: float | None = None
    first_weights: str = ""
    best_step: int = 0
    steps: int = 0
    last_loss: float | None = None
    minutes: float = 0.0
    overhead: float = OVERHEAD
    minutes_to_counts: float | None = None
    may_go_on: bool = True
    own_order: int | None = None

    @property
    def untrained(self) -> bool:
        """Whether no step was made."""
        return not self.fitted and self.steps == 0

    @property
    def barely_read(self) -> bool:
        """Whether the model saw too little of its text to be judged by it."""
        return not self.fitted and self.passes is not None and self.passes < BARELY

    @property
    def rise(self) -> float:
        """How far the last validation loss is above the best, where that is far; else 0."""
        if self.last_loss is None or self.best_step >= self.steps:
            return 0.0
        rise = self.last_loss - self.loss
        return rise if rise > RISE * max(1.0, self.loss) else 0.0


@dataclass(frozen=True)
class Verdict:
    """A word, the sentence with its figures, and what to do.

    too_little: whether more training time is what it lacks.
    minutes: to try, where the learning curve says how many.
    """

    word: Word
    text: str
    advice: tuple[str, ...] = field(default=())
    too_little: bool = False
    minutes: float | None = None

    @property
    def good(self) -> bool:
        """Whether nothing needs doing."""
        return self.word in GOOD

    def to_json(self) -> dict[str, Any]:
        """As it is kept in report.json."""
        return {**asdict(self), "word": str(self.word), "good": self.good}


def judge(found: Evidence) -> Verdict:
    """The verdict: of all that is wrong the worst, and what else is, in one sentence."""
    word = _word(found)
    clauses = [clause for clause in _clauses(found, word) if clause]
    minutes = _minutes(found) if word not in (Word.MEMORIZING, Word.COPYING) else None
    advice = tuple(line for line in _advice(found, word, minutes) if line)
    too_little = found.barely_read or (word is Word.COUNTS_BETTER and minutes is not None)
    return Verdict(word, f"{word}: {'; '.join(clauses)}", advice, too_little, minutes)


def _word(found: Evidence) -> Word:
    counts, novelty = found.counts, found.novelty
    if not math.isfinite(found.loss):
        return Word.INFINITE
    if found.untrained:
        return Word.UNTRAINED
    if not found.held_out:
        return Word.NOTHING if found.loss >= found.uniform else Word.UNJUDGED
    if novelty is not None and novelty.memorizing:
        return Word.MEMORIZING
    if found.loss >= found.uniform:
        return Word.NOTHING
    if novelty is not None and novelty.copying:
        return Word.COPYING
    if counts is not None and counts.better and not (found.fitted and counts.behind <= SAME_ORDER):
        return Word.COUNTS_BETTER
    if found.barely_read:
        return Word.BARELY_READ
    if novelty is not None and novelty.learned_little:
        return Word.LITTLE
    if found.fitted:
        return Word.COUNTED
    if found.rise:
        return Word.OVERFITTED
    if counts is not None and not counts.worse:
        return Word.AS_GOOD
    return Word.LEARNED


def _clauses(found: Evidence, word: Word) -> list[str]:
    """The figures behind a word, the most important first."""
    novelty = "" if found.novelty is None else found.novelty.figures
    counts = _beside_counts(found)
    loss = f"its loss is {found.loss:.4f} nats per token"
    if word is Word.INFINITE:
        return ["it gives some of the validation text no probability"]
    if word is Word.UNTRAINED:
        return [f"no step was made; {loss}, and guessing has {found.uniform:.4f}"]
    if word is Word.UNJUDGED:
        return ["nothing is held out, so copying cannot be told from learning", novelty]
    if word is Word.NOTHING:
        return [
            f"{loss}, no better than guessing ({found.uniform:.4f})",
            _read(found),
            _past_best(found),
        ]
    if word is Word.COUNTED:
        return [counts or loss, novelty]
    clauses = [counts or loss, "" if found.fitted else _read(found), _past_best(found), novelty]
    if word in (Word.MEMORIZING, Word.COPYING, Word.OVERFITTED):
        clauses.insert(1, _apart(found))
    if word in (Word.MEMORIZING, Word.COPYING):  # what it is about comes first
        clauses.insert(0, clauses.pop())
    return clauses


def _beside_counts(found: Evidence) -> str:
    counts = found.counts
    if counts is None:
        return ""
    size = f"{abs(counts.behind):.4f} ± {counts.error:.4f}"
    if found.fitted and counts.behind == 0:
        return f"{found.loss:.4f} nats per token, as good as {counts.name}, the best order"
    how = "not significantly different from"
    if counts.better or counts.worse:
        how = f"{size} {'above' if counts.better else 'below'}"
    return f"{found.loss:.4f} nats per token, {how} the {counts.loss:.4f} of {counts.name}"


def _read(found: Evidence) -> str:
    if found.passes is None:
        return ""
    if found.passes == 0:
        return "it has not read its training text"
    only = "only " if found.barely_read else ""
    return f"it went {only}{times(found.passes)} through its training text"


def times(passes: float) -> str:
    """How often, in words.

    >>> times(0.25), times(1.0), times(2.95), times(101.2)
    ('0.25 times', 'once', '3 times', '101 times')
    """
    if passes <= 0:
        return "0 times"
    digits = max(0, 1 - math.floor(math.log10(passes)))
    text = f"{round(passes, digits) if digits else round(passes):,.{digits}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "once" if text == "1" else f"{text} times"


def _apart(found: Evidence) -> str:
    if found.training_loss is None or found.training_loss >= found.loss:
        return ""
    return f"training loss {found.training_loss:.4f}, validation loss {found.loss:.4f}"


def _past_best(found: Evidence) -> str:
    if not found.rise:
        return ""
    return (
        f"its validation loss was {found.loss:.4f} at step {found.best_step:,} and rose to "
        f"{found.last_loss:.4f} by step {found.steps:,}; the weights of step {found.best_step:,} are "
        "kept"
    )


def _minutes(found: Evidence) -> float | None:
    """The minutes to try, rounded up: until the model is as good as the counts and has read its text.

    None where more time is not what it lacks, or would not do.
    """
    if found.fitted or found.rise or not found.may_go_on or not found.minutes:
        return None
    if _start(found):  # the curve is that of weights that shrink
        return None
    behind = found.counts is not None and not found.counts.worse
    minutes = found.minutes_to_counts if behind else None
    if minutes is not None and math.isinf(minutes):
        return None
    if found.barely_read and found.passes:
        share = found.best_step / found.steps if found.best_step else 1.0  # of the minutes
        minutes = max(minutes or 0.0, found.minutes * share / found.passes)
    elif not behind:
        return None
    return None if minutes is None else _rounded(1.1 * max(minutes, found.minutes) + found.overhead)


def _rounded(minutes: float) -> float:
    """Up to one digit, or to a multiple of 5 above 10."""
    if minutes > 10:
        return 5.0 * math.ceil(minutes / 5)
    digit = 10.0 ** math.floor(math.log10(minutes))
    return round(digit * math.ceil(minutes / digit - 1e-9), 6)


def _advice(found: Evidence, word: Word, minutes: float | None) -> list[str]:
    counts, mixture = found.counts, found.mixture
    lines = [_start(found)]
    if word is Word.UNTRAINED:
        return [*lines, "train it with --resume and --steps"]
    if found.counted and word in (Word.MEMORIZING, Word.COPYING):
        lines.append("counts copy what they have seen; a lower order copies less")
        lines += found.alone
    elif word in (Word.MEMORIZING, Word.COPYING):
        lines.append("more text, a smaller model, dropout or fewer steps")
    elif word is Word.NOTHING and found.rise:
        lines.append("more text, or a lower learning rate (hornbook lr-find)")
    elif word is Word.NOTHING:
        lines.append("more steps, or a lower learning rate (hornbook lr-find)")
    elif found.rise:
        lines.append("fewer steps (--training.patience 3 ends them), dropout or more text")
    if minutes is not None:
        lines.append(_try(found, word, minutes))
    elif counts is not None and counts.better and found.own_order not in (None, counts.order):
        lines.append(
            f"its own counts have order {found.own_order}: try --model.order {counts.order}, the best "
            "here"
        )
    elif counts is not None and counts.better and not found.fitted and word is not Word.NOTHING:
        if not found.may_go_on:
            lines.append("use the counts: more passes through so small a text would memorize it")
        elif found.minutes_to_counts is not None and math.isinf(found.minutes_to_counts):
            lines.append(
                "use the counts, or another model: more minutes are not expected to help, by the curve "
                "of its losses or by the context that it sees"
            )
        else:
            lines.append(
                "use the counts, or train longer: the curve of its losses does not say how long"
            )
    elif word is Word.COUNTS_BETTER and counts is not None:
        lines.append(f"use order {counts.order}")
    if mixture is not None and mixture.worthwhile:
        lines.append(
            f"a mixture of both is better than each: {mixture.loss:.4f} nats per token, "
            f"{mixture.gain:.4f} ± {mixture.error:.4f} below the better"
        )
    return lines


def _try(found: Evidence, word: Word, minutes: float) -> str:
    """The minutes to try, and why."""
    seconds = 60 * found.minutes
    digits = ".1f" if seconds < 10 else ".0f"
    after = f"after {seconds:{digits}} s" if seconds < 100 else f"after {found.minutes:.0f} minutes"
    if found.counts is not None and found.counts.better:
        if found.minutes_to_counts is None:  # not known: the minutes are those of one pass
            return (
                f"counts are better here {after}; try --minutes {minutes:g} to read the text once: the "
                "curve of its losses does not say how long the model needs"
            )
        return f"counts are better here {after}; try --minutes {minutes:g} (by the curve of its losses)"
    if word is Word.BARELY_READ:
        return f"this was too little to read the text; try --minutes {minutes:g}"
    return f"try --minutes {minutes:g}: by the curve of its losses it gets below the counts"


def _start(found: Evidence) -> str:
    fault = first_loss_fault(found.first_loss, found.uniform, found.first_weights)
    return "" if fault is None else fault.text


def first_loss_fault(first_loss: float | None, uniform: float, setting: str = "") -> Finding | None:
    """What a first loss far above ln V says of the first weights; None where it is not.

    setting: the one that chose them, in words.
    """
    if first_loss is None or first_loss <= FIRST_LOSS * uniform:
        return None
    chosen = f" ({setting})" if setting else ""
    return Finding(
        f"the first loss was {first_loss:.2f} nats, far above ln V = {uniform:.2f}: the initialization "
        f"is too large{chosen}; a first loss near ln V saves the steps that only shrink it",
        False,
    )
