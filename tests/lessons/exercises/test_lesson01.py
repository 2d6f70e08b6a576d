"""Lesson 1: the solutions pass, and wrong answers that learners give are told what is wrong."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from hornbook.autograd import Value
from hornbook.lessons.exercises.lesson01 import EXERCISES, softmax_loss
from tests.lessons.exercises.common import fails, passes


@pytest.mark.parametrize("number", [exercise.number for exercise in EXERCISES])
def test_the_solution_passes(number: str) -> None:
    passes(number)


def one_sided(f: Any, xs: list[float], h: float = 1e-4) -> list[float]:
    return [(f([*xs[:i], x + h, *xs[i + 1 :]]) - f(xs)) / h for i, x in enumerate(xs)]


def undivided(f: Any, xs: list[float], h: float = 1e-4) -> list[float]:
    return [
        (f([*xs[:i], x + h, *xs[i + 1 :]]) - f([*xs[:i], x - h, *xs[i + 1 :]])) / h
        for i, x in enumerate(xs)
    ]


def multiplied(f: Any, xs: list[float], h: float = 1e-4) -> list[float]:
    return [g / 2 * h for g in undivided(f, xs, h)]


def halved(f: Any, xs: list[float], h: float = 1e-4) -> list[float]:
    return [g / 2 for g in one_sided(f, xs, h)]


def all_at_once(f: Any, xs: list[float], h: float = 1e-4) -> list[float]:
    return [(f([x + h for x in xs]) - f([x - h for x in xs])) / (2 * h)] * len(xs)


def changes_its_input(f: Any, xs: list[float], h: float = 1e-4) -> list[float]:
    found = []
    for i in range(len(xs)):
        xs[i] += h
        up = f(xs)
        xs[i] -= 2 * h
        found.append((up - f(xs)) / (2 * h))
    return found


def by_hand(a: float, b: float, c: float) -> list[float]:
    return [-3 * a**2 - 0.5 / a**0.5, 3 * math.cos(3 * b) + 2.5 * b**1.5, 1 / c**2]


def changed(position: int, value: Callable[[float, float, float], float]) -> Callable[..., Any]:
    def answer(a: float, b: float, c: float) -> list[float]:
        right = by_hand(a, b, c)
        right[position] = value(a, b, c)
        return right

    return answer


def root_first(root: str, operands: dict[str, list[str]]) -> list[str]:
    ordered: list[str] = []

    def visit(name: str) -> None:
        if name not in ordered:
            ordered.append(name)
            for operand in operands[name]:
                visit(operand)

    visit(root)
    return ordered


def repeated(root: str, operands: dict[str, list[str]]) -> list[str]:
    return [x for name in operands[root] for x in repeated(name, operands)] + [root]


def everything(root: str, operands: dict[str, list[str]]) -> list[str]:
    return list(operands)


def overwriting(root: str, operands: Any, slopes: Any) -> dict[str, float]:
    order = list(dict.fromkeys(repeated(root, operands)))
    grads = {root: 1.0}
    for name in reversed(order):
        for x, slope in zip(operands[name], slopes[name], strict=True):
            grads[x] = slope * grads[name]
    return grads


def impatient(root: str, operands: Any, slopes: Any) -> dict[str, float]:
    """Hands each gradient on at once, before the others have added theirs."""
    grads = dict.fromkeys(operands, 0.0)
    grads[root] = 1.0
    for name in root_first(root, operands):
        for x, slope in zip(operands[name], slopes[name], strict=True):
            grads[x] += slope * grads[name]
    return grads


def recursive(root: str, operands: Any, slopes: Any) -> dict[str, float]:
    """Visits operands at once, and some of them several times."""
    grads = dict.fromkeys(operands, 0.0) | {root: 1.0}

    def visit(name: str) -> None:
        for x, slope in zip(operands[name], slopes[name], strict=True):
            grads[x] += slope * grads[name]
            visit(x)

    visit(root)
    return grads


def from_the_inputs(root: str, operands: Any, slopes: Any) -> dict[str, float]:
    grads = dict.fromkeys(operands, 0.0) | {root: 1.0}
    for name in dict.fromkeys(repeated(root, operands)):
        for x, slope in zip(operands[name], slopes[name], strict=True):
            grads[x] += slope * grads[name]
    return grads


def probability(logits: list[Value], target: int) -> Value:
    return (softmax_loss(logits, target) * -1.0).exp()


def log_probability(logits: list[Value], target: int) -> Value:
    return softmax_loss(logits, target) * -1.0


def overflowing(logits: list[Value], target: int) -> Value:
    exps = [logit.exp() for logit in logits]
    total = exps[0] + exps[1] + exps[2] + exps[3]
    return -(exps[target] / total).log()


def of_floats(logits: list[Value], target: int) -> float:
    return softmax_loss(logits, target).data


def unwritten(*_: Any) -> None:
    raise NotImplementedError


@pytest.mark.parametrize(
    ("number", "candidate", "part"),
    [
        ("1.1", one_sided, "as imprecise as a one-sided difference"),
        ("1.1", undivided, "twice the gradient"),
        ("1.1", all_at_once, "all inputs move at once"),
        ("1.1", halved, "half of the gradient"),
        ("1.1", changes_its_input, "WRONG  xs afterwards"),
        ("1.1", multiplied, "write / (2 * h)"),
        ("1.1", lambda f, xs: None, "does the function return its result?"),
        ("1.1", unwritten, "numerical_gradient is not written yet"),
        ("1.2", lambda a, b, c: by_hand(a, b, c)[:2], "how many derivatives"),
        ("1.2", changed(0, lambda a, b, c: -3 * a**2 + 0.5 / a**0.5), "the sign of the term"),
        ("1.2", lambda a, b, c: sum(by_hand(a, b, c)), "found float, expected 3"),
        ("1.2", changed(0, lambda a, b, c: -3 * a**2 - 0.5 * a**0.5), "its slope is 0.5 a^-0.5"),
        ("1.2", changed(1, lambda a, b, c: 3 * math.cos(3) + 2.5 * b**1.5), "not cos(3)"),
        ("1.2", changed(0, lambda a, b, c: -3 * a**2), "square root is missing"),
        ("1.2", changed(1, lambda a, b, c: math.cos(3 * b) + 2.5 * b**1.5), "the chain rule"),
        ("1.2", changed(1, lambda a, b, c: 3 * math.cos(3 * b)), "b^2.5 is missing"),
        ("1.2", changed(2, lambda a, b, c: -1 / c**2), "-1 times -1"),
        ("1.3", root_first, "stands before its operand"),
        ("1.3", repeated, "found more than once"),
        ("1.3", everything, "does not need"),
        ("1.3", lambda root, operands: [root], "missing: "),
        ("1.3", lambda root, operands: {root}, "expected a list"),
        ("1.4", overwriting, "add its gradients up (+=)"),
        ("1.4", impatient, "the largest difference is"),
        ("1.4", recursive, "before it was complete"),
        ("1.4", from_the_inputs, "go from the root backward"),
        ("1.4", lambda root, operands, slopes: {}, "the gradient of the root"),
        ("1.5", probability, "the loss is its -log"),
        ("1.5", log_probability, "the loss is -log"),
        ("1.5", overflowing, "raised OverflowError"),
        ("1.5", of_floats, "expected a Value"),
    ],
)
def test_a_wrong_answer_is_told_what_is_wrong(
    number: str, candidate: Callable[..., Any], part: str
) -> None:
    fails(number, candidate, part)
