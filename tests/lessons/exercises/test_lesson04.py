"""Lesson 4: the solutions pass, and wrong answers that learners give are told what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from hornbook.lessons.exercises.lesson04 import EXERCISES, training_step
from tests.lessons.exercises.common import fails, passes


@pytest.mark.parametrize("number", [exercise.number for exercise in EXERCISES])
def test_the_solution_passes(number: str) -> None:
    passes(number)


def plain_softmax(logits: Tensor) -> Tensor:
    return logits.exp() / logits.exp().sum(1, keepdim=True)


def picked(values: Tensor, ys: Tensor) -> Tensor:
    return values[torch.arange(len(ys)), ys]


def overflowing(logits: Tensor, ys: Tensor) -> Tensor:
    return -picked(plain_softmax(logits), ys).log().mean()


def underflowing(logits: Tensor, ys: Tensor) -> Tensor:
    return -picked(logits.softmax(1), ys).log().mean()


def gradient(W: Tensor, xs: Tensor, ys: Tensor, n: int | None = None) -> Tensor:
    d_logits = (W[xs].softmax(1) - F.one_hot(ys, len(W))) / (n or len(xs))
    return torch.zeros_like(W).index_add(0, xs, d_logits)


def adding_by_index(W: Tensor, xs: Tensor, ys: Tensor) -> Tensor:
    out = torch.zeros_like(W)
    out[xs] += (W[xs].softmax(1) - F.one_hot(ys, len(W))) / len(xs)
    return out


def without_targets(W: Tensor, xs: Tensor, ys: Tensor) -> Tensor:
    return torch.zeros_like(W).index_add(0, xs, W[xs].softmax(1) / len(xs))


def step_by(penalty: Callable[[Tensor], Tensor], sign: float = -1.0) -> Callable[..., Tensor]:
    def answer(W: Tensor, xs: Tensor, ys: Tensor, learning_rate: float, strength: float) -> Tensor:
        weights = W.clone().requires_grad_()
        loss = F.cross_entropy(weights[xs], ys) + strength * penalty(weights)
        (grad,) = torch.autograd.grad(loss, weights)
        return W + sign * learning_rate * grad

    return answer


def in_place(W: Tensor, xs: Tensor, ys: Tensor, learning_rate: float, strength: float) -> Tensor:
    W.copy_(training_step(W, xs, ys, learning_rate, strength))
    return W.clone()


def with_graph(W: Tensor, xs: Tensor, ys: Tensor, learning_rate: float, strength: float) -> Tensor:
    return training_step(W, xs, ys, learning_rate, strength).requires_grad_()


@pytest.mark.parametrize(
    ("number", "candidate", "part"),
    [
        ("4.1", lambda xs, n: F.one_hot(xs, n), "found int64, expected float32"),
        ("4.1", lambda xs, n: F.one_hot(xs, n).float().T, "found shape (7, 20), expected (20, 7)"),
        ("4.1", lambda xs, n: F.one_hot(xs).float(), "found shape (20, 6)"),
        ("4.2", plain_softmax, "subtract the largest logit of each row"),
        ("4.2", lambda x: plain_softmax(x - x.max()), "its own largest logit"),
        ("4.2", lambda logits: logits.softmax(0), "each column adds up to 1"),
        ("4.2", lambda logits: logits.exp() / logits.exp().sum(), "the whole table"),
        ("4.2", lambda logits: logits.exp(), "not divided by their sum"),
        ("4.2", lambda logits: logits.log_softmax(1), "these are logs"),
        ("4.2", lambda logits: logits / logits.sum(1, keepdim=True), "exp is missing"),
        ("4.3", overflowing, "do not take the log of a probability"),
        ("4.3", underflowing, "do not take the log of a probability"),
        ("4.3", lambda logits, ys: F.cross_entropy(logits, ys, reduction="sum"), "the sum"),
        ("4.3", lambda logits, ys: -F.cross_entropy(logits, ys), "the sign"),
        (
            "4.3",
            lambda x, ys: -x.log_softmax(1)[:, ys].mean(),
            "every target is taken in every row",
        ),
        ("4.3", lambda logits, ys: -picked(logits, ys).mean(), "softmax is missing"),
        ("4.3", lambda logits, ys: -picked(logits.softmax(1), ys).mean().log(), "mean of the logs"),
        ("4.3", lambda logits, ys: -logits.log_softmax(1).mean(), "the mean over all entries"),
        ("4.3", lambda logits, ys: F.cross_entropy(logits, ys).detach(), "has no graph"),
        ("4.3", lambda logits, ys: F.cross_entropy(logits, ys).item(), "expected a tensor"),
        ("4.4", adding_by_index, "+= with an index does not add"),
        ("4.4", lambda W, xs, ys: gradient(W, xs, ys, n=1), "the loss is a mean"),
        ("4.4", lambda W, xs, ys: -gradient(W, xs, ys), "the sign"),
        ("4.4", lambda W, xs, ys: gradient(W, xs, ys).T, "rows and columns are swapped"),
        ("4.4", without_targets, "the 1 at each target is not subtracted"),
        ("4.4", lambda W, xs, ys: gradient(W, xs, ys)[xs], "found shape (20, 7)"),
        ("4.5", step_by(lambda w: (w**2).sum()), "take their mean"),
        ("4.5", step_by(lambda w: 0 * w.sum()), "the regularization is missing"),
        ("4.5", step_by(lambda w: (w**2).mean() / 2), "the gradient of w^2 is 2 w"),
        ("4.5", step_by(lambda w: (w**2).mean(), sign=1.0), "uphill"),
        ("4.5", lambda W, xs, ys, learning_rate, strength: W, "unchanged"),
        ("4.5", in_place, "WRONG  W afterwards"),
        ("4.5", with_graph, "return it detached"),
    ],
)
def test_a_wrong_answer_is_told_what_is_wrong(
    number: str, candidate: Callable[..., Any], part: str
) -> None:
    fails(number, candidate, part)
