"""Lesson 12: the solutions pass, and wrong answers that learners give are told what is wrong."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from torch import Tensor

from hornbook.lessons.exercises.lesson12 import (
    EXERCISES,
    copies,
    holm,
    loss_and_error,
    paired_difference,
)
from tests.lessons.exercises.common import fails, passes


@pytest.mark.parametrize("number", [exercise.number for exercise in EXERCISES])
def test_the_solution_passes(number: str) -> None:
    passes(number)


def mean_of_means(nats: Tensor, tokens: Tensor) -> Any:
    each = nats / tokens
    return each.mean(), each.std() / math.sqrt(len(each))


def error_of_means(nats: Tensor, tokens: Tensor) -> Any:
    return nats.sum() / tokens.sum(), mean_of_means(nats, tokens)[1]


def error_of_nats(nats: Tensor, tokens: Tensor) -> Any:
    error = nats.std() / math.sqrt(len(nats)) / tokens.double().mean()
    return nats.sum() / tokens.sum(), error


def without_factor(nats: Tensor, tokens: Tensor) -> Any:
    loss, error = loss_and_error(nats, tokens)
    return loss, error * math.sqrt((len(nats) - 1) / len(nats))


def per_document(nats: Tensor, tokens: Tensor) -> Any:
    loss = nats.sum() / tokens.sum()
    return loss, (nats - loss * tokens).std() / math.sqrt(len(nats))


def outside(nats: Tensor, tokens: Tensor) -> Any:
    loss, n = nats.sum() / tokens.sum(), len(nats)
    return loss, n / (n - 1) * (nats - loss * tokens).square().sum().sqrt() / tokens.sum()


def subtracted(a: Tensor, b: Tensor, tokens: Tensor) -> Any:
    (loss_a, error_a), (loss_b, error_b) = loss_and_error(a, tokens), loss_and_error(b, tokens)
    return loss_a - loss_b, error_a - error_b


def beyond_chance(samples: Sequence[str], train: Sequence[str], held_out: Sequence[str]) -> Any:
    copied, chance = copies(samples, train, held_out)
    return copied - chance, chance


def unpaired(a: Tensor, b: Tensor, tokens: Tensor) -> Any:
    errors = loss_and_error(a, tokens)[1], loss_and_error(b, tokens)[1]
    return (a - b).sum() / tokens.sum(), math.hypot(*errors)


def turned(a: Tensor, b: Tensor, tokens: Tensor) -> Any:
    return paired_difference(b, a, tokens)


def without_stop(p_values: Sequence[float], level: float) -> list[bool]:
    m = len(p_values)
    ranks = [sorted(p_values).index(p) for p in p_values]
    return [p < level / (m - rank) for p, rank in zip(p_values, ranks, strict=True)]


def in_order_of_size(p_values: Sequence[float], level: float) -> list[bool]:
    return sorted(holm(p_values, level), reverse=True)


def unscaled(samples: Sequence[str], train: Sequence[str], held_out: Sequence[str]) -> Any:
    matching = sum(text in set(held_out) for text in samples) / len(samples)
    return copies(samples, train, held_out)[0], matching


def with_repetitions(samples: Sequence[str], train: Sequence[str], held_out: Sequence[str]) -> Any:
    matching = unscaled(samples, train, held_out)[1]
    return copies(samples, train, held_out)[0], matching * len(train) / len(held_out)


def different(samples: Sequence[str], train: Sequence[str], held_out: Sequence[str]) -> Any:
    return copies(list(set(samples)), train, held_out)


WRONG: list[tuple[str, Callable[..., Any], str]] = [
    ("12.1", lambda x: x.std(), "divide it by the root of N"),
    ("12.1", lambda x: x.var() / len(x), "take its root"),
    ("12.1", lambda x: x.std() / len(x), "is divided by N; divide it by the root"),
    ("12.1", lambda x: x.std(unbiased=False) / math.sqrt(len(x)), "divide by N - 1"),
    ("12.1", lambda x: x.std() / math.sqrt(len(x) - 1), "divides by N - 1 already"),
    ("12.1", lambda x: x.var() / math.sqrt(len(x)), "take the standard deviation"),
    ("12.2", lambda nats, tokens: per_document(nats, tokens), "in nats per document"),
    ("12.2", outside, "inside the root"),
    ("12.2", mean_of_means, "divide all nats by all tokens"),
    ("12.2", error_of_means, "long documents weigh more"),
    ("12.2", error_of_nats, "subtract loss * tokens"),
    (
        "12.2",
        lambda nats, t: (nats.sum() / t.sum(), nats.std() / math.sqrt(len(t))),
        "the loss is per token",
    ),
    ("12.2", without_factor, "the factor N / (N - 1) is missing"),
    ("12.2", lambda nats, tokens: nats.sum() / tokens.sum(), "expected two numbers"),
    ("12.3", unpaired, "as if they had read different documents"),
    (
        "12.3",
        lambda a, b, t: (
            (a - b).sum() / t.sum(),
            math.hypot((a / t).std() / math.sqrt(len(t)), (b / t).std() / math.sqrt(len(t))),
        ),
        "as if the documents were not the same",
    ),
    ("12.3", subtracted, "are subtracted"),
    ("12.3", lambda a, b, t: error_of_nats(a - b, t), "what is expected of it"),
    ("12.3", turned, "B's loss less A's"),
    ("12.3", lambda a, b, t: mean_of_means(a - b, t), "divide all nats by all tokens"),
    ("12.4", lambda p, level: [x < level for x in p], "nothing is corrected"),
    ("12.4", lambda p, level: [x < level / len(p) for x in p], "Bonferroni"),
    ("12.4", without_stop, "stop at the first"),
    ("12.4", in_order_of_size, "in the order of size"),
    ("12.4", lambda p, level: [x < level / (len(p) - i) for i, x in enumerate(p)], "by size"),
    (
        "12.4",
        lambda p, level: [x < level / (len(p) - i) for i, x in enumerate(sorted(p))],
        "does not",
    ),
    ("12.4", lambda p, level: sum(holm(p, level)), "booleans"),
    ("12.5", lambda nats, text: nats / math.log(2) / len(text), "this is per character"),
    ("12.5", lambda nats, text: nats / len(text.encode()), "these are nats per byte"),
    ("12.5", lambda nats, text: nats * math.log(2) / len(text.encode()), "not multiplied"),
    ("12.5", lambda nats, text: nats / math.log(2), "these are all bits"),
    ("12.5", lambda nats, text: math.log2(nats) / len(text.encode()), "no further logarithm"),
    ("12.5", lambda nats, text: nats / math.log(2) / len(text.encode()) / 8, "bits per bit"),
    ("12.6", unscaled, "scale it"),
    ("12.6", lambda s, t, h: (unscaled(s, t, h)[0], 4 * unscaled(s, t, h)[1]), "not four times"),
    ("12.6", beyond_chance, "return the share of copies itself"),
    ("12.6", with_repetitions, "take different texts"),
    ("12.6", different, "each sample counts"),
]


@pytest.mark.parametrize(
    ("number", "answer", "said"), WRONG, ids=[f"{n} {said}" for n, _, said in WRONG]
)
def test_a_wrong_answer_is_told_why(number: str, answer: Callable[..., Any], said: str) -> None:
    fails(number, answer, said)
