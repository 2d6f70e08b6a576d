"""The exercises of lesson 5 pass with their solutions and say what is wrong with common mistakes."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from tests.lessons.exercises.common import fails, passes


@pytest.mark.parametrize("number", ["5.1", "5.2", "5.3", "5.4", "5.5", "5.6"])
def test_the_solution_passes(number: str) -> None:
    passes(number)


def contexts(words: Any, length: int, **wrong: bool) -> tuple[Tensor, Tensor]:
    X, Y, context = [], [], [0] * length
    for word in words:
        if not wrong.get("carried"):
            context = [0] * length
        for token in [*word] if wrong.get("endless") else [*word, 0]:
            if wrong.get("early"):
                context = [*context[1:], token]
            X.append(context)
            Y.append(token)
            if wrong.get("front"):
                context = [token, *context[:-1]]
            elif wrong.get("same"):
                context.append(token)
                del context[0]
            elif not wrong.get("early"):
                context = [*context[1:], token]
    return torch.tensor(X), torch.tensor(Y)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("carried", "runs on from one word into the next"),
        ("endless", "one for its end"),
        ("early", "append the target to the context after"),
        ("front", "newest character belongs at the end"),
        ("same", "the same list, changed later"),
    ],
)
def test_contexts(wrong: str, said: str) -> None:
    fails("5.1", lambda words, length: contexts(words, length, **{wrong: True}), said)


def test_contexts_are_two_tensors() -> None:
    fails("5.1", lambda words, length: contexts(words, length)[0], "expected two tensors")
    fails("5.1", lambda words, length: [x.tolist() for x in contexts(words, length)], "a list of")


def test_embeddings_in_another_order() -> None:
    def torn(X: Tensor, C: Tensor) -> Tensor:
        return C[X].transpose(1, 2).reshape(len(X), -1)

    def mixed(X: Tensor, C: Tensor) -> Tensor:
        return C[X.T].reshape(len(X), -1)

    fails("5.2", torn, "torn apart")
    fails("5.2", mixed, "a row belongs to one example")
    fails("5.2", lambda X, C: C[X], "found shape")
    fails("5.2", lambda X, C: C[X].view(-1, 30), "raised RuntimeError")


def losses_of_pieces(logits_of: Any, X: Tensor, Y: Tensor, size: int) -> Tensor:
    pieces = zip(X.split(size), Y.split(size), strict=True)
    return torch.stack([F.cross_entropy(logits_of(x), y) for x, y in pieces])


def test_mean_losses_that_forget_the_last_piece_or_take_all_at_once() -> None:
    def pieces(*given: Any) -> Tensor:
        return losses_of_pieces(*given)

    def whole_ones(logits_of: Any, X: Tensor, Y: Tensor, size: int) -> float:
        n = len(X) // size * size
        return pieces(logits_of, X[:n], Y[:n], size).mean().item()

    def equal_weights(logits_of: Any, X: Tensor, Y: Tensor, size: int) -> float:
        return (pieces(logits_of, X, Y, size) * size).sum().item() / len(Y)

    fails("5.3", lambda *given: pieces(*given).mean(), "weigh each mean")
    fails("5.3", lambda f, X, Y, size: pieces(f, X, Y, size).mean() * len(Y), "this is the sum")
    fails("5.3", lambda *given: pieces(*given).sum(), "the sum of the means")
    fails("5.3", lambda *given: pieces(*given)[-1], "the last piece alone")
    fails("5.3", whole_ones, "which is smaller, are missing")
    fails(
        "5.3",
        lambda f, X, Y, size: whole_ones(f, X, Y, size) * (len(Y) // size * size) / len(Y),
        "missing from the sum",
    )
    fails("5.3", equal_weights, "the last one has fewer")
    fails("5.3", lambda f, X, Y, size: F.cross_entropy(f(X), Y), "give it at most")
    fails("5.3", lambda *given: pieces(*given), "found a tensor of shape")

    def again(logits_of: Any, X: Tensor, Y: Tensor, size: int) -> float:
        logits_of(X[:size])
        return whole_ones(logits_of, X, Y, size)

    fails("5.3", again, "each of them once")


def test_losses_before_training() -> None:
    fails("5.4", lambda v: -math.log(v), "the sign is wrong")
    fails("5.4", math.log2, "bits")
    fails("5.4", math.log10, "natural logarithm")
    fails("5.4", lambda v: 1 / v, "this is the probability")
    fails("5.4", lambda v: 3.2958, "largest difference")


def test_learning_rates_that_are_not_uniform_in_the_logarithm() -> None:
    log = math.log10
    fails("5.5", lambda u, low, high: low + (high - low) * u, "make the exponents uniform")
    fails("5.5", lambda u, low, high: log(low) + (log(high) - log(low)) * u, "raise 10 to them")
    fails("5.5", lambda u, low, high: low * (high / low) ** (1 - u), "the other way round")
    fails("5.5", lambda u, low, high: 10 ** (low + (high - low) * u), "math.log10")

    def two_bases(u: Tensor, low: float, high: float) -> Tensor:
        return torch.tensor(10.0) ** (math.log(low) + (math.log(high) - math.log(low)) * u)

    fails("5.5", two_bases, "the same base")
    fails("5.5", lambda u, low, high: 10 ** (3 * u - 3), "use the `low` and `high`")
    fails("5.5", lambda u, low, high: (low + (high - low) * u).log(), "yours lie between -")


def test_forward_passes_with_a_part_missing() -> None:
    def mlp(X: Tensor, C: Tensor, *rest: Tensor, wrong: str) -> Tensor:
        W1, b1, W2, b2 = rest
        z = C[X].flatten(1) @ W1 + b1 * (wrong not in ("b1", "late"))
        h = z if wrong == "linear" else z.tanh()
        out = (h + b1 * (wrong == "late")) @ W2 + b2 * (wrong != "b2")
        ends = {"tanh": out.tanh(), "softmax": out.softmax(1)}
        return ends.get(wrong, out)

    for wrong, said in {
        "linear": "tanh is missing", "tanh": "no tanh after the last layer", "b1": "b1 is missing",
        "late": "add b1 before tanh", "b2": "b2 is missing", "softmax": "return the logits",
    }.items():  # fmt: skip
        fails("5.6", lambda *a, wrong=wrong: mlp(*a, wrong=wrong), said)
