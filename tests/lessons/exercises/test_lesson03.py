"""Lesson 3: the solutions pass, and wrong answers that learners give are told what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from hornbook.lessons.exercises.lesson03 import EXERCISES, best_smoothing, loss_of_words
from tests.lessons.exercises.common import fails, passes

Ids = dict[str, int]


@pytest.mark.parametrize("number", [exercise.number for exercise in EXERCISES])
def test_the_solution_passes(number: str) -> None:
    passes(number)


def counting(order: int, before: str, after: str, *, once: bool = False) -> Callable[..., Tensor]:
    def answer(words: list[str], ids: Ids) -> Tensor:
        table = torch.zeros((len(ids),) * order, dtype=torch.int64)
        for word in words:
            text = [ids[c] for c in before + word + after]
            for i in range(len(text) - order + 1):
                place = tuple(text[i : i + order])
                table[place] = 1 if once else table[place] + 1
        return table

    return answer


def swapped(words: list[str], ids: Ids) -> Tensor:
    return counting(2, ".", ".")(words, ids).T


def in_floats(words: list[str], ids: Ids) -> Tensor:
    return counting(2, ".", ".")(words, ids).float()


def in_place(N: Tensor, k: float) -> Tensor:
    smooth = N + k
    N += 1
    return smooth / smooth.sum(1, keepdim=True)


def per_word(words: list[str], P: Tensor, ids: Ids) -> float:
    return sum(loss_of_words([word], P, ids) for word in words) / len(words)


def without_end(words: list[str], P: Tensor, ids: Ids) -> float:
    logs = [P[ids[a], ids[b]].log() for w in words for a, b in zip("." + w, w, strict=False)]
    return -sum(logs).item() / len(logs)  # type: ignore[union-attr]


def summing_along(dim: int) -> Callable[..., float]:
    def answer(train: Tensor, dev: Tensor, ks: list[float]) -> float:
        tables = {k: (train + k) / (train + k).sum(dim, keepdim=True) for k in ks}
        return min(ks, key=lambda k: -(dev * tables[k].log()).sum().item())

    return answer


def total(words: list[str], P: Tensor, ids: Ids) -> float:
    return loss_of_words(words, P, ids) * sum(len(word) + 1 for word in words)


@pytest.mark.parametrize(
    ("number", "candidate", "part"),
    [
        ("3.1", counting(2, ".", ""), "no word has an end"),
        ("3.1", counting(2, "", "."), "no word has a beginning"),
        ("3.1", counting(2, "", ""), "missing before and after"),
        ("3.1", counting(2, ".", ".", once=True), "+= 1 counts it every time"),
        ("3.1", swapped, "rows and columns are swapped"),
        ("3.1", in_floats, "found float32, expected int64"),
        ("3.2", lambda N, k: (N + k) / (N + k).sum(1), "keepdim=True"),
        ("3.2", lambda N, k: (N + k) / (N + k).sum(0, keepdim=True), "each column adds up to 1"),
        ("3.2", lambda N, k: (N + k) / (N + k).sum(), "the whole table"),
        ("3.2", lambda N, k: (N + k) / N.sum(1, keepdim=True), "before k was added"),
        ("3.2", lambda N, k: N / N.sum(1, keepdim=True) + k, "k is added after dividing"),
        ("3.2", lambda N, k: N / N.sum(1, keepdim=True), "k is not added"),
        ("3.2", in_place, "WRONG  N afterwards"),
        ("3.3", lambda words, P, ids: -loss_of_words(words, P, ids), "the sign"),
        ("3.3", lambda words, P, ids: loss_of_words(words, P.exp(), ids), "largest difference"),
        ("3.3", lambda words, P, ids: loss_of_words(words, P, ids) / 0.6931472, "in bits"),
        ("3.3", total, "this is the sum"),
        ("3.3", lambda words, P, ids: total(words, P, ids) / len(words), "the number of words"),
        ("3.3", per_word, "average of the words' averages"),
        ("3.3", without_end, "the last bigram of each word"),
        ("3.4", counting(3, ".", "."), "put two '.' before each word"),
        ("3.4", counting(3, "..", ""), "no word has an end"),
        ("3.4", counting(3, "..", ".."), "one too many"),
        ("3.4", counting(2, ".", "."), "found shape (6, 6), expected (6, 6, 6)"),
        ("3.5", lambda train, dev, ks: best_smoothing(train, train, ks), "measure on dev"),
        ("3.5", summing_along(0), "not 0"),
        ("3.5", summing_along(1), "not 1"),
        ("3.5", lambda train, dev, ks: 0.123, "expected one of"),
    ],
)
def test_a_wrong_answer_is_told_what_is_wrong(
    number: str, candidate: Callable[..., Any], part: str
) -> None:
    fails(number, candidate, part)
