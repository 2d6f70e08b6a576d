"""Exercises of lesson 7: backpropagation by hand.

B batch, T context, E channels of an embedding, H hidden units, V vocabulary; I inputs, O outputs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from hornbook.lessons.comparison import Comparison, compare, holds
from hornbook.lessons.exercise import Exercise

EPS = 1e-5


def _sizes(generator: torch.Generator, n: int) -> list[int]:
    """n different sizes, so that no wrong shape fits by chance."""
    sizes: list[int] = (torch.randperm(7, generator=generator)[:n] + 3).tolist()
    return sizes


def _several(found: Any, names: tuple[str, ...]) -> Comparison:
    right = isinstance(found, tuple | list) and len(found) == len(names)
    words = {2: "two", 3: "three", 6: "six", 8: "eight"}[len(names)]
    return holds(f"{words} results", right, f"expected {words} tensors: {', '.join(names)}")


def linear_backward(dout: Tensor, x: Tensor, W: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """dx (B, I), dW (I, O) and db (O,) of x W + b."""
    return dout @ W.T, x.T @ dout, dout.sum(0)


def _check_linear(candidate: Any, generator: torch.Generator) -> Iterator[Comparison]:
    B, I, O = _sizes(generator, 3)  # noqa: E741
    x, W = torch.randn(B, I, generator=generator), torch.randn(I, O, generator=generator)
    b, dout = torch.randn(O, generator=generator), torch.randn(B, O, generator=generator)
    found = candidate(dout.clone(), x.clone(), W.clone())
    names = ("dx", "dW", "db")
    yield _several(found, names)
    leaves = [t.requires_grad_() for t in (x, W, b)]
    expected = torch.autograd.grad(x @ W + b, leaves, dout)
    for name, ours, theirs in zip(names, found, expected, strict=True):
        mistakes = {
            "b was broadcast over the examples, so its gradient is a sum, not a mean": dout.mean(0),
            "this is the mean over the examples; dout already has the factor of the mean loss": theirs
            / B,
            "b was broadcast over the examples; sum over all of them": dout[0],
        }
        yield compare(name, ours, theirs, mistakes=mistakes, atol=1e-5)


def embedding_backward(demb: Tensor, X: Tensor, vocab_size: int) -> Tensor:
    """dC (V, E): each row the sum of the gradients wherever its id stands in X."""
    channels = demb.shape[-1]
    dC = torch.zeros(vocab_size, channels)
    return dC.index_add_(0, X.flatten(), demb.reshape(-1, channels))


def _check_embedding(candidate: Any, generator: torch.Generator) -> Iterator[Comparison]:
    B, T, E, V = _sizes(generator, 4)
    X = torch.randint(0, V - 1, (B, T), generator=generator)
    X[0, 0] = X[1, 1] = X[-1, -1]
    demb = torch.randn(B, T, E, generator=generator)
    C = torch.zeros(V, E, requires_grad=True)
    (expected,) = torch.autograd.grad(C[X], C, demb)
    once = torch.zeros(V, E)
    once[X.flatten()] = demb.view(-1, E)
    by_loop = torch.zeros(V, E)
    for row, gradients in zip(X.tolist(), demb, strict=True):
        for token, gradient in zip(row, gradients, strict=True):
            by_loop[token] = gradient
    often = torch.bincount(X.flatten(), minlength=V).clamp(min=1)[:, None]
    many = torch.zeros(V, E)
    many[X] += demb
    advice = (
        "a character that occurs several times adds up its gradients; here one replaced the others"
    )
    mistakes = {
        advice: once,
        f"{advice} ": by_loop,
        f"{advice}: dC[X] += demb does not add up for equal ids": many,
        "gradients add up; this is their mean": expected / often,
    }
    yield compare(
        "dC", candidate(demb.clone(), X.clone(), V), expected, mistakes=mistakes, atol=1e-5
    )


STEPS = (
    "dlogprobs", "dprobs", "dcounts_sum_inv", "dcounts_sum", "dcounts", "dshifted", "dmaxes", "dlogits",
)  # fmt: skip


def cross_entropy_steps(logits: Tensor, Y: Tensor) -> tuple[Tensor, ...]:
    """The gradients of all tensors between the loss and the logits, the last first."""
    n = len(logits)
    maxes, at = logits.max(1, keepdim=True)
    counts = (logits - maxes).exp()
    counts_sum = counts.sum(1, keepdim=True)
    counts_sum_inv = counts_sum**-1
    probs = counts * counts_sum_inv

    dlogprobs = torch.zeros_like(logits)
    dlogprobs[torch.arange(n), Y] = -1 / n
    dprobs = dlogprobs / probs
    dcounts_sum_inv = (dprobs * counts).sum(1, keepdim=True)
    dcounts_sum = -(counts_sum**-2) * dcounts_sum_inv
    dcounts = dprobs * counts_sum_inv + dcounts_sum
    dshifted = dcounts * counts
    dmaxes = -dshifted.sum(1, keepdim=True)
    dlogits = dshifted.scatter_add(1, at, dmaxes)
    return dlogprobs, dprobs, dcounts_sum_inv, dcounts_sum, dcounts, dshifted, dmaxes, dlogits


def _check_steps(candidate: Any, generator: torch.Generator) -> Iterator[Comparison]:
    B, V = _sizes(generator, 2)
    logits = torch.randn(B, V, generator=generator)
    Y = torch.randint(0, V, (B,), generator=generator)
    found = candidate(logits.clone(), Y.clone())
    yield _several(found, STEPS)
    logits.requires_grad_()
    maxes = logits.max(1, keepdim=True).values
    shifted = logits - maxes
    counts = shifted.exp()
    counts_sum = counts.sum(1, keepdim=True)
    inverse = counts_sum**-1
    probs = counts * inverse
    logprobs = probs.log()
    loss = -logprobs[torch.arange(B), Y].mean()
    tensors = (logprobs, probs, inverse, counts_sum, counts, shifted, maxes, logits)
    expected = torch.autograd.grad(loss, tensors)
    inner = expected[1] * inverse
    for name, ours, theirs in zip(STEPS, found, expected, strict=True):
        mistakes: dict[str, Tensor] = {
            "the mean divides by the number of examples: -1 / n": theirs * B,
            "the sign is wrong": -theirs,
        }
        if name == "dprobs":
            mistakes["the slope of the logarithm is 1 / probs: divide by probs"] = (
                expected[0] * probs
            )
        if name == "dcounts":
            mistakes |= {
                "counts are used twice, in the product and in the sum; one of the two is missing: "
                "the sum": inner,
                "counts are used twice, in the product and in the sum; one of the two is missing: "
                "the product": expected[3].expand_as(counts),
            }
        # between -0 and a rounding error there is no relative difference
        yield compare(name, ours, theirs, mistakes=mistakes, atol=1e-5)


def cross_entropy_backward(logits: Tensor, Y: Tensor) -> Tensor:
    """(softmax(logits) - one_hot(Y)) / B."""
    dlogits = F.softmax(logits, 1)
    dlogits[torch.arange(len(Y)), Y] -= 1
    return dlogits / len(Y)


def _check_cross_entropy(candidate: Any, generator: torch.Generator) -> Iterator[Comparison]:
    B, V = _sizes(generator, 2)
    logits = torch.randn(B, V, generator=generator, requires_grad=True)
    Y = torch.randint(0, V, (B,), generator=generator)
    (expected,) = torch.autograd.grad(F.cross_entropy(logits, Y), logits)
    p = logits.detach().softmax(1)
    mistakes = {
        "the loss is a mean over the examples; divide by their number": expected * B,
        "the sign is wrong: the right character has a negative gradient": -expected,
        "1 is subtracted at the right character": p / B,
        "subtract 1 at the right character, not its probability": p.scatter(1, Y[:, None], 0.0) / B,
        "softmax runs over the classes of one example: dimension 1": (
            logits.detach().softmax(0) - F.one_hot(Y, V)
        )
        / B,
        "divide by the number of examples only, not by all logits": expected / V,
        "dlogits[:, Y] is these columns in every row; take one entry of each row, "
        "[range(len(Y)), Y]": _columns(p, Y) / B,
        "each row is a distribution of its own: divide by the sum of the row": (
            logits.detach().flatten().softmax(0).view(B, V) - F.one_hot(Y, V)
        )
        / B,
    }
    found = candidate(logits.detach().clone(), Y.clone())
    yield compare("dlogits", found, expected, mistakes=mistakes)


def _columns(p: Tensor, Y: Tensor) -> Tensor:
    """Probabilities less 1 in whole columns, a common mistake."""
    wrong = p.clone()
    wrong[:, Y] -= 1
    return wrong


def batchnorm_backward(
    dy: Tensor, z: Tensor, gamma: Tensor, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """dz (B, H), dgamma (H,) and dbeta (H,)."""
    n = len(z)
    inv = (z.var(0) + eps) ** -0.5
    normal = (z - z.mean(0)) * inv
    dgamma, dbeta = (dy * normal).sum(0), dy.sum(0)
    dz = gamma * inv * (dy - dbeta / n - normal * dgamma / (n - 1))
    return dz, dgamma, dbeta


def _check_batchnorm(candidate: Any, generator: torch.Generator) -> Iterator[Comparison]:
    B, H = _sizes(generator, 2)
    z, dy = torch.randn(2, B, H, generator=generator)
    z = 3 * z + 1
    gamma, beta = torch.randn(2, H, generator=generator)
    eps = 0.01
    found = candidate(dy.clone(), z.clone(), gamma.clone(), eps)
    names = ("dz", "dgamma", "dbeta")
    yield _several(found, names)
    leaves = [t.requires_grad_() for t in (z, gamma, beta)]
    y = gamma * (z - z.mean(0)) / (z.var(0) + eps).sqrt() + beta
    expected = dict(zip(names, torch.autograd.grad(y, leaves, dy), strict=True))
    with torch.no_grad():
        inv = (z.var(0) + eps) ** -0.5
        normal = (z - z.mean(0)) * inv
        scaled, along = gamma * inv, (dy * normal).sum(0)
        mistakes = {
            "the mean and the variance depend on z as well; this is the direct part alone": scaled
            * dy,
            "the part through the variance is missing": scaled * (dy - dy.mean(0)),
            "the part through the mean is missing": scaled * (dy - normal * along / (B - 1)),
            "the variance is over n - 1: divide its part by n - 1": scaled
            * (dy - dy.mean(0) - normal * along / B),
            "gamma is missing": expected["dz"] / gamma,
            "the mean of dy divides by n; this is n - 1 for both parts": scaled
            * (dy - dy.sum(0) / (B - 1) - normal * along / (B - 1)),
        }
    for name, ours in (("dbeta", found[2]), ("dgamma", found[1]), ("dz", found[0])):
        others = {
            "dbeta": {"sum over the examples": dy.mean(0)},
            "dgamma": {
                "this is made from z; gamma multiplies the normalized values": (dy * z).sum(0),
                "sum over the examples": along / B,
                "take the variance over n - 1, as z.var does by default": (
                    dy * (z - z.mean(0)) / (z.var(0, correction=0) + eps).sqrt()
                ).sum(0),
            },
        }
        wrong = others.get(name, mistakes)
        yield compare(name, ours, expected[name], mistakes=wrong, atol=1e-5)


def mlp_backward(
    X: Tensor, Y: Tensor, C: Tensor, W1: Tensor, gamma: Tensor, beta: Tensor, W2: Tensor, b2: Tensor
) -> tuple[Tensor, ...]:
    """dC, dW1, dgamma, dbeta, dW2, db2 of the mean cross-entropy."""
    flat = C[X].view(len(X), -1)
    z = flat @ W1
    inv = (z.var(0) + 1e-5) ** -0.5
    h = torch.tanh(gamma * (z - z.mean(0)) * inv + beta)
    logits = h @ W2 + b2

    dlogits = cross_entropy_backward(logits, Y)
    dh, dW2, db2 = linear_backward(dlogits, h, W2)
    dy = (1 - h**2) * dh
    dz, dgamma, dbeta = batchnorm_backward(dy, z, gamma, 1e-5)
    demb = (dz @ W1.T).view(*X.shape, C.shape[1])
    dC = embedding_backward(demb, X, len(C))
    return dC, flat.T @ dz, dgamma, dbeta, dW2, db2


PLACES = {  # where to look if everything after it was right
    "db2": "dlogits (exercise 7.4), then a sum over the examples",
    "dW2": "the last layer (exercise 7.1)",
    "dbeta": "dh, the slope of tanh, then a sum over the examples",
    "dgamma": "the normalized values, with the variance over n - 1",
    "dW1": "dz, from BatchNorm backward (exercise 7.5), or the first layer (exercise 7.1)",
    "dC": "dflat, or the embedding (exercise 7.2)",
}


def _check_mlp(candidate: Any, generator: torch.Generator) -> Iterator[Comparison]:
    B, T, E, H, V = _sizes(generator, 5)
    X = torch.randint(0, V, (B, T), generator=generator)
    Y = torch.randint(0, V, (B,), generator=generator)
    shapes = [(V, E), (T * E, H), (H,), (H,), (H, V), (V,)]
    given = [torch.randn(shape, generator=generator) / 2 for shape in shapes]
    found = candidate(X.clone(), Y.clone(), *(p.clone() for p in given))
    names = ("dC", "dW1", "dgamma", "dbeta", "dW2", "db2")
    yield _several(found, names)
    C, W1, gamma, beta, W2, b2 = leaves = [p.requires_grad_() for p in given]
    z = C[X].view(B, -1) @ W1
    y = gamma * (z - z.mean(0)) / (z.var(0) + EPS).sqrt() + beta
    loss = F.cross_entropy(torch.tanh(y) @ W2 + b2, Y)
    expected = dict(zip(names, torch.autograd.grad(loss, leaves), strict=True))
    ours = dict(zip(names, found, strict=True))
    for name in reversed(names):  # from the loss on, as they are computed
        mistakes = {
            "the loss is a mean over the examples; divide dlogits by their number": expected[name]
            * B
        }
        found = compare(name, ours[name], expected[name], mistakes=mistakes, rtol=1e-3, atol=1e-4)
        yield (
            found if found.right else replace(found, words=f"{found.words}; look at {PLACES[name]}")
        )


EXERCISES = [
    Exercise(
        "7.1", "linear_backward", title="A linear layer backward",
        hint="Rule 3: which product of dout (B, O) and W (I, O) has the shape of x? Which of x and "
        "dout that of W? b was broadcast over the examples (rule 2).",
        solution=linear_backward, check=_check_linear,
    ),
    Exercise(
        "7.2", "embedding_backward", title="An embedding backward",
        hint="Begin with zeros (V, E). In a loop over all positions, add the gradient to the row "
        "of the id. index_add_(0, ids, gradients) does the loop in one call.",
        solution=embedding_backward, check=_check_embedding,
    ),
    Exercise(
        "7.3", "cross_entropy_steps", title="The cross-entropy backward, step by step",
        hint="Go line by line from below. The slope of x**-1 is -x**-2, and that of exp(x) is "
        "exp(x). dcounts has a part from the product and one from the sum. dmaxes goes to the "
        "column of each row's largest logit.",
        solution=cross_entropy_steps, check=_check_steps,
    ),
    Exercise(
        "7.4", "cross_entropy_backward", title="The cross-entropy backward, in one line",
        hint="-log(exp(l[y]) / sum(exp(l))) = -l[y] + log(sum(exp(l))). The derivative of the "
        "second term is softmax. Mind the mean.",
        solution=cross_entropy_backward, check=_check_cross_entropy,
    ),
    Exercise(
        "7.5", "batchnorm_backward", title="BatchNorm backward, in one formula",
        hint="dbeta and dgamma are sums over the examples, of dy and of dy * normal. dz is "
        "gamma * inv * (dy - a part with dbeta - normal times a part with dgamma). By which "
        "numbers are the two divided?",
        solution=batchnorm_backward, check=_check_batchnorm,
    ),
    Exercise(
        "7.6", "mlp_backward", title="The whole network backward",
        hint="Call your functions of exercises 7.1, 7.2, 7.4 and 7.5 in the order in which the "
        "gradient flows; tanh in between is (1 - h**2) * dh. Check the last gradients first.",
        solution=mlp_backward, check=_check_mlp,
    ),
]  # fmt: skip
