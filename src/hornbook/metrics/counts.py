"""What counting the last few tokens is worth on a text: the yardstick of every trained model.

The best n-gram is looked for among all orders up to HIGHEST in one pass: the shorter contexts of a
modified Kneser-Ney model are the same whatever its order (`models/ngram.py`), and of each prediction
only the probability of the token that came is computed, so the size of the vocabulary does not matter.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hornbook.data.part import Part
from hornbook.layers.counts import Level, count_levels, kneser_ney, unit_depths
from hornbook.metrics.loss import Floats, summarize
from hornbook.tokenizers import Tokenizer

HIGHEST = 12  # order that is tried
WORSE = 2  # orders in a row that are worse than the best: higher ones are not tried
MOST_TOKENS = 1 << 21  # of the training part that are counted
SEARCH_BYTES = 200  # for each token counted, at most (88 to 196 measured, 2026-11-29)
GAIN = 0.005  # nats per token that a mixture has to gain to be worth making
HELD_BACK = (
    10  # one in so many tokens of the training part, to find the best order without validation
)
BLOCK = 256  # tokens of a stream that are one unit of a standard error

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Counts:
    """The best n-gram model of a text, among orders 1 to HIGHEST.

    Attributes:
        order: tokens counted together.
        losses: nats per validation token of each order that was tried, from 1 on.
        nats: -log p of each validation token by the best order, (n_targets,), as `token_nats`.
        tokens: how many of the training part were counted, of `of`.
        seconds: what the search took.
    """

    order: int
    losses: tuple[float, ...]
    nats: Floats
    tokens: int
    of: int
    seconds: float

    @property
    def loss(self) -> float:
        """That of the best order, in nats per token."""
        return self.losses[self.order - 1]

    def loss_with(self, context: int) -> float:
        """The lowest, in nats per token, of counts that see at most so many tokens before."""
        return min(self.losses[: context + 1])

    @property
    def share(self) -> float:
        """The share of the training part that was counted."""
        return self.tokens / max(1, self.of)

    def to_json(self) -> dict[str, Any]:
        """As it is kept in report.json."""
        return {
            "order": self.order,
            "loss": self.loss,
            "seconds": self.seconds,
            "losses": list(self.losses),
            "tokens": self.tokens,
            "share": self.share,
        }


def search_counts(
    train: Part, validation: Part, tokenizer: Tokenizer, most_tokens: int = MOST_TOKENS
) -> Counts:
    """The best order by the validation loss, of counts of the training part.

    most_tokens: of a larger training part about so many, evenly spread, are counted.
    """
    begin = time.perf_counter()
    some = train.subset(most_tokens, tokenizer)
    best: Floats | None = None
    order, losses = 0, list[float]()
    for nats in nats_by_order(some, validation, tokenizer.vocab_size):
        losses.append(float(nats.sum() / validation.n_scored))
        if best is None or losses[-1] < losses[order - 1]:
            best, order = nats, len(losses)
        elif len(losses) - order >= WORSE:
            break
    assert best is not None
    seconds = time.perf_counter() - begin
    return Counts(order, tuple(losses), best, some.n_targets, train.n_targets, seconds)


def search_bytes(n_tokens: int) -> int:
    """Bytes of memory that the search takes for a training part of so many tokens, at most."""
    return SEARCH_BYTES * min(n_tokens, MOST_TOKENS)


def search_order(train: Part, tokenizer: Tokenizer, most_tokens: int = MOST_TOKENS) -> Counts:
    """The best order by a tenth of the training part, of counts of its other nine; the validation part
    is not used.

    Of documents every tenth one is held back, of a stream the last tenth. To leave out each token alone
    would be no substitute: a stream repeats itself nearby, so long contexts would seem better than they
    are (docs/logbook.md, 2026-11-29).
    """
    counted, held_back = _hold_back(train.subset(most_tokens, tokenizer), tokenizer)
    return replace(search_counts(counted, held_back, tokenizer), of=train.n_targets)


def _hold_back(part: Part, tokenizer: Tokenizer) -> tuple[Part, Part]:
    """Nine tenths of a part, and one tenth."""
    units = len(part.starts) - 1
    if units >= HELD_BACK:
        chosen = np.arange(units) % HELD_BACK == HELD_BACK - 1
        return part.units(~chosen, tokenizer), part.units(chosen, tokenizer)
    n = part.n_targets - part.n_targets // HELD_BACK
    return part.stretch(0, n, tokenizer), part.stretch(n, part.n_targets, tokenizer)


def nats_by_order(
    train: Part, part: Part, vocab_size: int, highest: int = HIGHEST
) -> Iterator[Floats]:
    """-log p of each token of a part, (n_targets,), by the n-grams of order 1, 2, ... of the training
    part: what `NGram` of that order says; 0 where a prediction is not scored."""
    n, ids = part.n_targets, part.tokens.astype(np.int64)
    depth, position = unit_depths(part.starts), np.arange(n)
    context, p = np.zeros(n, dtype=np.int64), np.full(n, 1 / vocab_size)
    levels = count_levels(train.tokens, train.starts, highest, vocab_size)
    for length, level in enumerate(levels):
        if not len(level.pairs):  # no document is so long
            return
        if length > 0:
            older = ids[(position - length + 1).clip(min=0)]
            found = _find(level.keys, context * vocab_size + older)
            context = np.where((depth >= length) & (context >= 0), found, -1)
        pair = _find(level.pairs, context * vocab_size + ids[1:])
        nats = -np.log(_blend(level, p, context, pair, vocab_size, longest=True))
        yield nats if part.scored is None else nats * part.scored
        if length < highest - 1:
            p = _blend(level, p, context, pair, vocab_size, longest=False)


def _blend(
    level: Level, p: Floats, context: Ints, pair: Ints, vocab_size: int, *, longest: bool
) -> Floats:
    """p = backoff[context] * p + value[pair], of what is known (0 or above)."""
    value, backoff = kneser_ney(level, vocab_size, longest=longest)
    blended = p * backoff[context.clip(min=0)] + np.where(pair >= 0, value[pair.clip(min=0)], 0.0)
    return np.where(context >= 0, blended, p)


def _find(table: Ints, keys: Ints) -> Ints:
    """Where each key is in a sorted table, -1 where it is not."""
    if not len(table):
        return np.full(len(keys), -1)
    at = np.searchsorted(table, keys).clip(max=len(table) - 1)
    return np.where(table[at] == keys, at, -1)


@dataclass(frozen=True)
class Mixed:
    """A model and counts as one: weight * p(model) + (1 - weight) * p(counts).

    Attributes:
        weight: of the model, fitted to the whole validation part.
        loss: in nats per token; of each half of the validation part with the weight that was fitted
            to the other, so that no text is measured with a weight that was fitted to it.
        gain: nats per token below the better of both. error: its standard error.
    """

    weight: float
    loss: float
    gain: float
    error: float

    @property
    def worthwhile(self) -> bool:
        """Whether it gains by more than chance (two standard errors), and enough to be made."""
        return self.gain > max(GAIN, 2 * self.error)

    def to_json(self) -> dict[str, Any]:
        """As it is kept in report.json. weights: of the model, of the counts."""
        weights = [self.weight, round(1 - self.weight, 4)]
        return {"weights": weights, "loss": self.loss, "gain": self.gain, "error": self.error}


WEIGHTS = tuple(round(0.05 * i, 2) for i in range(1, 20))


def mix_with_counts(model: Floats, counts: Floats, part: Part) -> Mixed:
    """The best fixed weights of a model and counts, from the nats of each token of a part."""
    n = part.n_targets
    if part.documents:  # every other document
        second = np.repeat(np.arange(len(part.starts) - 1) % 2, np.diff(part.starts)) == 1
    else:
        second = np.arange(n) >= n // 2
    sums = np.zeros((2, len(WEIGHTS)))
    for i, weight in enumerate(WEIGHTS):
        nats = mixed_nats(model, counts, weight)
        sums[:, i] = nats[~second].sum(), nats[second].sum()
    fitted = [WEIGHTS[int(sums[half].argmin())] for half in (0, 1)]
    nats = np.where(
        second, mixed_nats(model, counts, fitted[0]), mixed_nats(model, counts, fitted[1])
    )
    better = model if model.sum() <= counts.sum() else counts
    gain, error = paired(better, nats, part)
    loss = float(nats.sum() / part.n_scored)
    return Mixed(WEIGHTS[int(sums.sum(0).argmin())], loss, gain, error)


def mixed_nats(model: Floats, counts: Floats, weight: float) -> Floats:
    """-log(weight * exp(-model) + (1 - weight) * exp(-counts)) of each token."""
    mixed: Floats = -np.logaddexp(math.log(weight) - model, math.log(1 - weight) - counts)
    return mixed


def paired(one: Floats, other: Floats, part: Part) -> tuple[float, float]:
    """The mean of one - other in nats per token, and its standard error, by document or by BLOCK
    tokens of a stream; infinite of a single one."""
    found = summarize(one - other, part, BLOCK)
    return found.nats, math.inf if found.standard_error is None else found.standard_error
