"""The exercises of lesson 4: softmax, cross-entropy and its gradient."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from hornbook.lessons.comparison import Comparison, compare, holds
from hornbook.lessons.exercise import Exercise

V, N = 7, 20


def one_hot(xs: Tensor, n: int) -> Tensor:
    """(N,) -> (N, n): rows of the identity."""
    return torch.eye(n)[xs]


def softmax(logits: Tensor) -> Tensor:
    """(N, V) -> (N, V), with the largest logit of each row subtracted."""
    exps = (logits - logits.max(1, keepdim=True).values).exp()
    return exps / exps.sum(1, keepdim=True)


def cross_entropy(logits: Tensor, ys: Tensor) -> Tensor:
    """(N, V) and targets (N,) -> a scalar: the log of the sum of exp, minus the target's logit."""
    shifted = logits - logits.max(1, keepdim=True).values
    log_sums = shifted.exp().sum(1).log()
    return (log_sums - shifted[torch.arange(len(ys)), ys]).mean()


def bigram_gradient(W: Tensor, xs: Tensor, ys: Tensor) -> Tensor:
    """(V, V): each example adds probability - one-hot to the row of its input."""
    d_logits = W[xs].softmax(1)  # (N, V)
    d_logits[torch.arange(len(ys)), ys] -= 1
    return torch.zeros_like(W).index_add(0, xs, d_logits / len(ys))


def training_step(
    W: Tensor, xs: Tensor, ys: Tensor, learning_rate: float, strength: float
) -> Tensor:
    """On a copy that requires a gradient."""
    weights = W.detach().clone().requires_grad_()
    loss = F.cross_entropy(weights[xs], ys) + strength * (weights**2).mean()
    loss.backward()  # type: ignore[no-untyped-call]
    assert weights.grad is not None
    return weights.detach() - learning_rate * weights.grad


def _ids(generator: torch.Generator) -> Tensor:
    """Some of which occur several times, and one never."""
    return torch.randint(0, V - 1, (N,), generator=generator)


def _check_one_hot(candidate: Any, generator: torch.Generator) -> Iterator[Comparison]:
    xs = _ids(generator)
    found = candidate(xs.clone(), V)
    expected = F.one_hot(xs, V).float()
    several = torch.zeros_like(expected)
    several[xs] = 1
    mistakes = {
        "rows and columns are swapped: one row for each example": expected.T,
        "out[xs] = 1 fills whole rows; out[i, xs[i]] is one entry of row i": several,
    }
    yield compare("the vectors", found, expected, mistakes=mistakes)


def _check_softmax(candidate: Any, generator: torch.Generator) -> Iterator[Comparison]:
    for words, shift in (("", 0.0), (" of logits near 1000", 1000.0)):
        logits = torch.randn(N, V, generator=generator) + shift
        expected = torch.softmax(logits, 1)
        exps = (logits - shift).exp()
        mistakes = {
            "each column adds up to 1; each row should": torch.softmax(logits, 0),
            "the whole table adds up to 1; each row should": exps / exps.sum(),
            "these are logs; softmax has no log": expected.log(),
            "exp is missing: logits may be negative": logits / logits.sum(1, keepdim=True),
        }
        if shift == 0.0:
            mistakes["these are not divided by their sum"] = exps
        found = candidate(logits.clone())
        if isinstance(found, Tensor) and found.isnan().any() and shift:
            overflow = "exp(1000) is infinite; subtract the largest logit of each row first"
            yield holds(f"the probabilities{words}", False, f"found nan: {overflow}")
        yield compare(f"the probabilities{words}", found, expected, mistakes=mistakes)
    logits = torch.randn(N, V, generator=generator)
    logits[::2] += 1000.0
    found = candidate(logits.clone())
    if isinstance(found, Tensor) and found.isnan().any():
        advice = "found nan: subtract from each row its own largest logit, not one number from all"
        yield holds("the probabilities of rows that differ by 1000", False, advice)
    yield compare("the probabilities of rows that differ by 1000", found, torch.softmax(logits, 1))


def _check_cross_entropy(candidate: Any, generator: torch.Generator) -> Iterator[Comparison]:
    for words, scale in (("", 1.0), (" of logits that differ by 1000", 1000.0)):
        numbers = scale * torch.randn(N, V, generator=generator)
        ys = _ids(generator)
        logits, theirs = numbers.clone().requires_grad_(), numbers.clone().requires_grad_()
        expected = F.cross_entropy(theirs, ys)
        expected.backward()  # type: ignore[no-untyped-call]
        found = candidate(logits, ys)
        mistakes = {}
        if scale == 1.0:
            p = numbers.softmax(1)[torch.arange(N), ys]
            mistakes = {
                "this is the sum; take the mean": N * expected,
                "the sign: the loss is -log": -expected,
                "every target is taken in every row; row i has the target ys[i]": -numbers.log_softmax(
                    1
                )[:, ys].mean(),
                "this is minus the mean logit of the targets; softmax is missing": -numbers[
                    torch.arange(N), ys
                ].mean(),
                "this is -log of the mean probability; take the mean of the logs": -p.mean().log(),
                "this is the mean over all entries; take that of the targets": -numbers.log_softmax(
                    1
                ).mean(),
            }
        elif isinstance(found, Tensor) and not found.isfinite().all():
            advice = (
                "do not take the log of a probability: logit - log(sum of exp) is never infinite"
            )
            yield holds(f"the loss{words}", False, f"found {found.item()}: {advice}")
        yield compare(f"the loss{words}", found, expected, mistakes=mistakes)
        graph = found.requires_grad
        yield holds("backward", graph, "the loss has no graph; was it made a plain number?")
        found.backward()
        yield compare(f"the gradient of the logits{words}", logits.grad, theirs.grad)


def _check_bigram_gradient(candidate: Any, generator: torch.Generator) -> Iterator[Comparison]:
    W = torch.randn(V, V, generator=generator)
    xs, ys = _ids(generator), _ids(generator)
    weights = W.clone().requires_grad_()
    F.cross_entropy(weights[xs], ys).backward()  # type: ignore[no-untyped-call]
    expected = weights.grad
    assert expected is not None
    probs = W[xs].softmax(1)
    lost = torch.zeros_like(W)
    lost[xs] = (probs - F.one_hot(ys, V)) / N
    mistakes = {
        "divide by the number of examples: the loss is a mean": N * expected,
        "of a character that occurs several times only one is kept: += with an index does not add; "
        "see index_add or F.one_hot(xs).T @ ...": lost,
        "the 1 at each target is not subtracted": torch.zeros_like(W).index_add(0, xs, probs / N),
        "the sign": -expected,
        "rows and columns are swapped": expected.T,
    }
    yield compare("the gradient", candidate(W.clone(), xs, ys), expected, mistakes=mistakes)


def _check_training_step(candidate: Any, generator: torch.Generator) -> Iterator[Comparison]:
    W = torch.randn(V, V, generator=generator)
    xs, ys = _ids(generator), _ids(generator)
    rate, strength = 0.5, 2.0
    parameter = W.clone().requires_grad_()
    F.cross_entropy(parameter[xs], ys).backward()  # type: ignore[no-untyped-call]
    assert parameter.grad is not None
    step = parameter.grad
    expected = W - rate * (step + 2 * strength * W / W.numel())
    mistakes = {
        "the squared weights are summed; take their mean": W - rate * (step + 2 * strength * W),
        "the regularization is missing": W - rate * step,
        "the step goes uphill: subtract": 2 * W - expected,
        "W itself is returned unchanged": W,
        "the gradient of w^2 is 2 w": W - rate * (step + strength * W / W.numel()),
    }
    given = W.clone()
    found = candidate(given, xs, ys, rate, strength)
    yield compare("the new weights", found, expected, mistakes=mistakes)
    changed = {"this is the step on W itself; make a copy first": expected}
    yield compare("W afterwards", given, W, mistakes=changed)
    free = not found.requires_grad
    yield holds("requires no gradient", free, "it requires a gradient; return it detached")


EXERCISES = [
    Exercise(
        "4.1",
        "one_hot",
        title="One-hot",
        hint="Begin with zeros of shape (N, n) and set one entry in each row: "
        "out[torch.arange(N), xs] = 1. Or: torch.eye(n) has the one-hot vectors of all ids as rows.",
        solution=one_hot,
        check=_check_one_hot,
    ),
    Exercise(
        "4.2",
        "softmax",
        title="Softmax",
        hint="logits.max(1, keepdim=True).values is the largest of each row, a column. Subtract "
        "it, then exp, then divide by the sums of the rows.",
        solution=softmax,
        check=_check_softmax,
    ),
    Exercise(
        "4.3",
        "cross_entropy",
        title="Cross-entropy",
        hint="-log(exp(a) / s) is log(s) - a. Subtract the largest logit of each row, compute s, "
        "the sum of exp, and take the target's logit by shifted[torch.arange(N), ys].",
        solution=cross_entropy,
        check=_check_cross_entropy,
    ),
    Exercise(
        "4.4",
        "bigram_gradient",
        title="The gradient, by hand",
        hint="First the gradient of the logits, (N, V): softmax, minus 1 at each target, divided "
        "by N. Its row i belongs to row xs[i] of W; torch.zeros_like(W).index_add(0, xs, rows) adds "
        "them up.",
        solution=bigram_gradient,
        check=_check_bigram_gradient,
    ),
    Exercise(
        "4.5",
        "training_step",
        title="A step with regularization",
        hint="Make a copy that requires a gradient: W.detach().clone().requires_grad_(). Compute "
        "the loss, loss.backward(), and return the detached copy minus learning_rate times its grad.",
        solution=training_step,
        check=_check_training_step,
    ),
]
