"""Lesson 2: the solutions pass, and wrong answers that learners give are told what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from hornbook.autograd import MLP, Value
from hornbook.lessons.exercises.lesson02 import EXERCISES, hinge_loss
from tests.lessons.exercises.common import fails, passes


@pytest.mark.parametrize("number", [exercise.number for exercise in EXERCISES])
def test_the_solution_passes(number: str) -> None:
    passes(number)


def weights_alone(n_in: int, sizes: list[int]) -> int:
    return sum(a * b for a, b in pairwise([n_in, *sizes]))


def one_bias_a_layer(n_in: int, sizes: list[int]) -> int:
    return weights_alone(n_in, sizes) + len(sizes)


def unconnected(n_in: int, sizes: list[int]) -> int:
    return sum(n * (n_in + 1) for n in sizes)


def biased_inputs(n_in: int, sizes: list[int]) -> int:
    return weights_alone(n_in, sizes) + sum(sizes) + n_in


def mean(terms: list[Value]) -> Value:
    return sum(terms, Value(0.0)) / len(terms)


def margins(scores: list[Value], labels: list[float]) -> list[Value]:
    return [1 - y * s for s, y in zip(scores, labels, strict=True)]


def summed(scores: list[Value], labels: list[float]) -> Value:
    return hinge_loss(scores, labels) * len(scores)


def unclipped(scores: list[Value], labels: list[float]) -> Value:
    return mean(margins(scores, labels))


def without_margin(scores: list[Value], labels: list[float]) -> Value:
    return mean([(m - 1).relu() for m in margins(scores, labels)])


def wrong_sign(scores: list[Value], labels: list[float]) -> Value:
    return mean([(2 - m).relu() for m in margins(scores, labels)])


def descent(*, zero: bool = True, sign: float = -1.0, after: bool = False) -> Callable[..., Any]:
    def answer(f: Any, xs: list[Value], learning_rate: float, steps: int) -> list[float]:
        losses = []
        for _ in range(steps):
            loss = f(xs)
            for x in xs:
                x.grad = 0.0 if zero else x.grad
            loss.backward()
            for x in xs:
                x.data += sign * learning_rate * x.grad
            losses.append(f(xs).data if after else loss.data)
        return losses

    return answer


def forgetful(parameters: list[Value], velocities: list[float], rate: float, m: float) -> None:
    for p, v in zip(parameters, velocities, strict=True):
        v = m * v + p.grad  # a loop variable: the list keeps its zeros
        p.data -= rate * v


def averaging(parameters: list[Value], velocities: list[float], rate: float, m: float) -> None:
    for i, p in enumerate(parameters):
        velocities[i] = m * velocities[i] + (1 - m) * p.grad
        p.data -= rate * velocities[i]


def rebinding(parameters: list[Value], velocities: list[float], rate: float, m: float) -> None:
    velocities = [m * v + p.grad for p, v in zip(parameters, velocities, strict=True)]
    parameters = [p - rate * v for p, v in zip(parameters, velocities, strict=True)]


@pytest.mark.parametrize(
    ("number", "candidate", "part"),
    [
        ("2.1", weights_alone, "the biases are missing"),
        ("2.1", one_bias_a_layer, "one bias for each layer is too few"),
        ("2.1", unconnected, "only the first layer sees"),
        ("2.1", biased_inputs, "inputs have no bias"),
        ("2.2", summed, "this is the sum; the loss is the mean"),
        ("2.2", unclipped, "relu is missing"),
        ("2.2", without_margin, "the margin is missing"),
        ("2.2", wrong_sign, "the sign: 1 - label * score"),
        ("2.2", lambda scores, labels: hinge_loss(scores, labels).data, "expected a Value"),
        ("2.3", descent(zero=False), "not set to zero"),
        ("2.3", descent(sign=1.0), "move against the gradient"),
        ("2.3", descent(after=True), "the first is the loss after a step"),
        ("2.3", lambda f, xs, learning_rate, steps: [f(xs).data], "how many losses"),
        ("2.4", forgetful, "are the new velocities kept in the list?"),
        ("2.4", averaging, "not times 1 - momentum"),
        ("2.4", rebinding, "nothing has changed"),
        ("2.5", lambda seed: MLP(2, [1], seed=seed), "found a score of"),
        ("2.5", lambda seed: [1.0], "expected an autograd.MLP"),
    ],
)
def test_a_wrong_answer_is_told_what_is_wrong(
    number: str, candidate: Callable[..., Any], part: str
) -> None:
    fails(number, candidate, part)
