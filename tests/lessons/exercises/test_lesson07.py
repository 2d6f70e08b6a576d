"""The exercises of lesson 7 pass with their solutions and say what is wrong with common mistakes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from hornbook.lessons.exercises.lesson07 import (
    batchnorm_backward,
    cross_entropy_backward,
    cross_entropy_steps,
    embedding_backward,
    linear_backward,
    mlp_backward,
)
from tests.lessons.exercises.common import fails, passes


@pytest.mark.parametrize("number", ["7.1", "7.2", "7.3", "7.4", "7.5", "7.6"])
def test_the_solution_passes(number: str) -> None:
    passes(number)


def test_a_linear_layer_with_a_part_wrong() -> None:
    fails("7.1", lambda d, x, W: (d @ W, x.T @ d, d.sum(0)), "raised RuntimeError")
    fails("7.1", lambda d, x, W: (d @ W.T, d.T @ x, d.sum(0)), "dW: found shape", "the transpose")
    fails(
        "7.1",
        lambda d, x, W: (d @ W.T, x.T @ d / len(x), d.sum(0)),
        "dW: ",
        "already has the factor",
    )
    fails("7.1", lambda d, x, W: (d @ W.T, x.T @ d, d.mean(0)), "a sum, not a mean")
    fails("7.1", lambda d, x, W: (d @ W.T, x.T @ d, d[0]), "sum over all of them")
    fails("7.1", lambda d, x, W: (d @ W.T, x.T @ d, d), "db: found shape")
    fails("7.1", lambda d, x, W: linear_backward(d, x, W)[:2], "expected three tensors")


def test_an_embedding_that_forgets_gradients() -> None:
    def replaced(demb: Tensor, X: Tensor, v: int) -> Tensor:
        dC = torch.zeros(v, demb.shape[-1])
        for row, gradients in zip(X, demb, strict=True):
            for token, gradient in zip(row, gradients, strict=True):
                dC[token] = gradient
        return dC

    def indexed(demb: Tensor, X: Tensor, v: int) -> Tensor:
        dC = torch.zeros(v, demb.shape[-1])
        dC[X] += demb
        return dC

    def averaged(demb: Tensor, X: Tensor, v: int) -> Tensor:
        often = torch.bincount(X.flatten(), minlength=v).clamp(min=1)
        return embedding_backward(demb, X, v) / often[:, None]

    fails("7.2", replaced, "adds up its gradients")
    fails("7.2", indexed, "adds up its gradients")
    fails("7.2", averaged, "this is their mean")
    fails("7.2", lambda d, X, v: embedding_backward(d, X, v)[:-1], "found shape")


def test_a_step_of_the_cross_entropy_that_is_wrong() -> None:
    def steps(logits: Tensor, Y: Tensor, i: int, factor: float) -> list[Tensor]:
        found = list(cross_entropy_steps(logits, Y))
        found[i] = found[i] * factor
        return found

    fails("7.3", lambda z, y: steps(z, y, 0, len(y)), "dlogprobs", "-1 / n")
    fails("7.3", lambda z, y: steps(z, y, 3, -1), "dcounts_sum: ", "the sign is wrong")
    fails("7.3", lambda z, y: cross_entropy_steps(z, y)[:-1], "expected eight tensors")

    def one_part(logits: Tensor, Y: Tensor, kept: str) -> list[Tensor]:
        found = list(cross_entropy_steps(logits, Y))
        counts = (logits - logits.max(1, keepdim=True).values).exp()
        inverse = 1 / counts.sum(1, keepdim=True)
        found[4] = found[1] * inverse if kept == "product" else found[3].expand_as(counts)
        return found

    fails("7.3", lambda z, y: one_part(z, y, "product"), "one of the two is missing: the sum")
    fails("7.3", lambda z, y: one_part(z, y, "sum"), "one of the two is missing: the product")

    def unsummed(logits: Tensor, Y: Tensor) -> list[Tensor]:
        found = list(cross_entropy_steps(logits, Y))
        found[2] = found[1] * (logits - logits.max(1, keepdim=True).values).exp()
        return found

    fails("7.3", unsummed, "dcounts_sum_inv: found shape")

    def multiplied(logits: Tensor, Y: Tensor) -> list[Tensor]:
        found = list(cross_entropy_steps(logits, Y))
        found[1] = found[0] * logits.softmax(1)
        return found

    fails("7.3", multiplied, "divide by probs")


def test_cross_entropies_with_a_part_missing() -> None:
    def without(logits: Tensor, Y: Tensor) -> Tensor:
        p = logits.softmax(1)
        p[range(len(Y)), Y] = 0
        return p / len(Y)

    def across(logits: Tensor, Y: Tensor) -> Tensor:
        p = logits.softmax(0)
        p[range(len(Y)), Y] -= 1
        return p / len(Y)

    def columns(logits: Tensor, Y: Tensor) -> Tensor:
        p = logits.softmax(1)
        p[:, Y] -= 1
        return p / len(Y)

    def of_all(logits: Tensor, Y: Tensor) -> Tensor:
        p = logits.exp() / logits.exp().sum()
        p[range(len(Y)), Y] -= 1
        return p / len(Y)

    fails("7.4", columns, "these columns in every row")
    fails("7.4", of_all, "the sum of the row")
    fails("7.4", lambda z, y: cross_entropy_backward(z, y) * len(y), "the loss is a mean")
    fails("7.4", lambda z, y: -cross_entropy_backward(z, y), "the sign is wrong")
    fails("7.4", lambda z, y: z.softmax(1) / len(y), "1 is subtracted")
    fails("7.4", without, "not its probability")
    fails("7.4", across, "dimension 1")
    fails("7.4", lambda z, y: cross_entropy_backward(z, y) / z.shape[1], "not by all logits")


def test_batchnorms_with_a_part_missing() -> None:
    def wrong(dy: Tensor, z: Tensor, gamma: Tensor, eps: float, what: str) -> tuple[Tensor, ...]:
        dz, dgamma, dbeta = batchnorm_backward(dy, z, gamma, eps)
        n, inv = len(z), (z.var(0) + eps) ** -0.5
        normal = (z - z.mean(0)) * inv
        mean, along = dbeta / n, normal * dgamma / (n - 1)
        s = gamma * inv
        return {
            "direct": (s * dy, dgamma, dbeta),
            "variance": (s * (dy - mean), dgamma, dbeta),
            "mean": (s * (dy - along), dgamma, dbeta),
            "n": (s * (dy - mean - normal * dgamma / n), dgamma, dbeta),
            "n - 1": (s * (dy - dbeta / (n - 1) - along), dgamma, dbeta),
            "gamma": (dz / gamma, dgamma, dbeta),
            "z": (dz, (dy * z).sum(0), dbeta),
            "dbeta": (dz, dgamma, mean),
            "dgamma": (dz, dgamma / n, dbeta),
            "biased": (
                dz,
                (dy * (z - z.mean(0)) / (z.var(0, correction=0) + eps).sqrt()).sum(0),
                dbeta,
            ),
        }[what]

    for what, said in {
        "direct": "this is the direct part alone", "variance": "the part through the variance",
        "mean": "the part through the mean", "n": "divide its part by n - 1",
        "n - 1": "n - 1 for both parts", "gamma": "gamma is missing", "z": "this is made from z",
        "dbeta": "dbeta: ", "dgamma": "sum over the examples",
        "biased": "as z.var does by default",
    }.items():  # fmt: skip
        fails("7.5", lambda *a, what=what: wrong(*a, what), said)
    fails("7.5", lambda *a: batchnorm_backward(*a)[0], "expected three tensors")


def test_a_whole_network_with_a_gradient_wrong() -> None:
    def wrong(*a: Tensor, i: int) -> list[Tensor]:
        found = list(mlp_backward(*a))
        found[i] = found[i] * (len(a[1]) if i != 4 else 0.5)
        return found

    fails("7.6", lambda *a: wrong(*a, i=5), "db2", "divide dlogits by their number")
    fails("7.6", lambda *a: wrong(*a, i=4), "dW2", "the largest difference")
    fails("7.6", lambda *a: wrong(*a, i=1), "dW1", "look at dz, from BatchNorm backward")
    fails("7.6", lambda *a: wrong(*a, i=0), "dC", "look at dflat")
    fails("7.6", lambda *a: mlp_backward(*a)[:5], "expected six tensors")
    fails("7.6", lambda *a: mlp_backward(*a)[::-1], "db2: found shape")
