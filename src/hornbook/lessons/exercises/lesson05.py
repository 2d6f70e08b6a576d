"""Exercises of lesson 5: the MLP of Bengio.

B batch, T context, E channels of an embedding, H hidden units, V vocabulary, N examples.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from hornbook.lessons.comparison import Comparison, compare, holds
from hornbook.lessons.exercise import Exercise


def contexts(words: list[list[int]], context_length: int) -> tuple[Tensor, Tensor]:
    """The context (N, T) and the target (N,) of each example."""
    X, Y = [], []
    for word in words:
        context = [0] * context_length
        for token in [*word, 0]:
            X.append(context)
            Y.append(token)
            context = [*context[1:], token]
    return torch.tensor(X), torch.tensor(Y)


def _check_contexts(candidate: Any, generator: torch.Generator) -> Iterator[Comparison]:
    lengths = torch.randint(1, 9, (4,), generator=generator).tolist()
    words = [torch.randint(1, 27, (n,), generator=generator).tolist() for n in lengths]
    for context_length in torch.randperm(6, generator=generator)[:2].add(1).tolist():
        found = candidate([list(word) for word in words], context_length)
        what = f"context_length {context_length}"
        pair = isinstance(found, tuple | list) and len(found) == 2
        yield holds(f"{what}: two results", pair, "expected two tensors, X and Y")
        padded = [torch.tensor([0] * context_length + word + [0]) for word in words]
        rows = [row.unfold(0, context_length + 1, 1) for row in padded]  # (examples, T + 1) each
        X, Y = torch.cat(rows)[:, :-1], torch.cat(rows)[:, -1]
        flat = torch.tensor([0] * context_length + [t for word in words for t in [*word, 0]])
        n = len(found[0]) if isinstance(found[0], Tensor | list) else 0
        advice = (
            f"found {n}, expected {len(X)}: each word gives one for each of its characters and one "
            "for its end"
        )
        yield holds(f"{what}: examples", n == len(X), advice)
        mistakes = {
            "a context runs on from one word into the next; begin each word with a context of "
            "ids 0": flat.unfold(0, context_length, 1)[: len(X)],
            "the newest character belongs at the end of the context": X.flip(1),
            "append the target to the context after the example is stored, not before": torch.cat(
                [row[:, 1:] for row in rows]
            ),
            "every row is the same list, changed later; make a new list for each context": torch.cat(
                [row[-1:, 1:].expand(len(row), -1) for row in rows]
            ),
        }
        yield compare(f"{what}: X", found[0], X, mistakes=mistakes)
        yield compare(f"{what}: Y", found[1], Y)


def embed_and_join(X: Tensor, C: Tensor) -> Tensor:
    """The embeddings of each context side by side, (B, T) and (V, E) -> (B, T E)."""
    return C[X].view(len(X), -1)


def _check_embed(candidate: Any, generator: torch.Generator) -> Iterator[Comparison]:
    B, T, V, E = torch.randint(2, 9, (4,), generator=generator).tolist()
    X = torch.randint(0, V, (B, T), generator=generator)
    C = torch.randn(V, E, generator=generator)
    one_hot = F.one_hot(X, V).float()
    rows = one_hot @ C
    mistakes = {
        "the numbers of a character are torn apart; an embedding stays in one piece": rows.transpose(
            1, 2
        ).reshape(B, -1),
        "the characters of the batch are mixed; a row belongs to one example": rows.transpose(
            0, 1
        ).reshape(B, -1),
    }
    expected = (one_hot.view(B * T, V) @ C).view(B, T * E)
    found = candidate(X.clone(), C.clone())
    yield compare(f"X {(B, T)} and C {(V, E)}", found, expected, mistakes=mistakes)


def mean_loss(logits_of: Callable[[Tensor], Tensor], X: Tensor, Y: Tensor, size: int) -> float:
    """The mean cross-entropy over all examples, computed on at most `size` of them at a time."""
    total = 0.0
    with torch.no_grad():
        for x, y in zip(torch.split(X, size), torch.split(Y, size), strict=True):
            total += F.cross_entropy(logits_of(x), y, reduction="sum").item()
    return total / len(Y)


def _check_mean_loss(candidate: Any, generator: torch.Generator) -> Iterator[Comparison]:
    size, V, T = (torch.randperm(5, generator=generator)[:3] + 4).tolist()
    table = torch.randn(V, V, generator=generator)
    for n, what in ((3 * size, "whole pieces"), (3 * size + 1, "one example in the last piece")):
        X = torch.randint(0, V, (n, T), generator=generator)
        Y = torch.randint(0, V, (n,), generator=generator)
        table[X[-1, -1], Y[-1]] = -20  # the last one has a large loss
        largest, at_all = 0, 0

        def logits_of(x: Tensor) -> Tensor:
            nonlocal largest, at_all
            largest, at_all = max(largest, len(x)), at_all + len(x)
            return table[x[:, -1]]

        each = F.cross_entropy(table[X[:, -1]], Y, reduction="none")
        means = torch.stack([piece.mean() for piece in torch.split(each, size)])
        mistakes = {
            "the last piece is smaller: weigh each mean by the number of its examples, or add up "
            "sums": means.mean(),
            "this is the sum; divide by the number of examples": each.sum(),
            "the last piece, which is smaller, is missing from the sum": each[: 3 * size].sum() / n,
            "this is the sum of the means of the pieces": means.sum(),
            "the examples of the last piece, which is smaller, are missing": each[
                : 3 * size
            ].mean(),
            "each piece counts as `size` examples here; the last one has fewer": means.sum()
            * size
            / n,
            "this is the loss of the last piece alone": means[-1],
        }
        what = f"{n} examples, size {size}: {what}"
        found = candidate(logits_of, X.clone(), Y.clone(), size)
        yield compare(
            what, found, each.mean().item(), mistakes={k: float(v) for k, v in mistakes.items()}
        )
        advice = f"logits_of was called with {largest} examples at once; give it at most {size}"
        yield holds(f"{what}: at most {size} at a time", largest <= size, advice)
        twice = f"logits_of saw {at_all} examples, expected {n}: each of them once"
        yield holds(f"{what}: each example once", at_all == n, twice)


def uniform_loss(vocab_size: int) -> float:
    """-log(1 / V)."""
    return math.log(vocab_size)


def _check_uniform_loss(candidate: Any, generator: torch.Generator) -> Iterator[Comparison]:
    for vocab_size in (27, *torch.randint(2, 1000, (2,), generator=generator).tolist()):
        expected = F.cross_entropy(torch.zeros(1, vocab_size), torch.tensor([0])).item()
        mistakes = {
            "the sign is wrong: a loss is -log of a probability": -expected,
            "these are bits; use the natural logarithm, math.log": expected / math.log(2),
            "this is the probability; the loss is -log of it": 1 / vocab_size,
            "use the natural logarithm, math.log": expected / math.log(10),
        }
        found = candidate(vocab_size)
        yield compare(f"{vocab_size} tokens", found, expected, mistakes=mistakes)


def learning_rates(uniform: Tensor, low: float, high: float) -> Tensor:
    """Uniform in the logarithm between low and high, as many as there are in `uniform`."""
    return low * (high / low) ** uniform


def _check_learning_rates(candidate: Any, generator: torch.Generator) -> Iterator[Comparison]:
    a, b = torch.rand(2, generator=generator).tolist()
    low, high = 10 ** (-4 + a), 10 ** (-1 + b)
    uniform = torch.rand(1000, generator=generator)
    exponents = math.log10(low) + (math.log10(high) - math.log10(low)) * uniform
    expected = 10**exponents
    mistakes = {
        "these are uniform between low and high themselves; make the exponents uniform": low
        + (high - low) * uniform,
        "these are the exponents; raise 10 to them": exponents,
        "these lie between 0.001 and 1, as in the sweep; use the `low` and `high` that are given": 10
        ** (3 * uniform - 3),
        "0 should become low and 1 should become high; this is the other way round": low
        * (high / low) ** (1 - uniform),
        "take the exponents of low and of high by math.log10, then raise 10 to what is between "
        "them": 10 ** (low + (high - low) * uniform),
        "logarithm and power must have the same base: math.log with math.exp, or math.log10 with "
        "10 ** x": 10 ** (math.log(low) + math.log(high / low) * uniform),
    }
    found = candidate(uniform.clone(), low, high)
    what = f"between {low:.2g} and {high:.2g}"
    result = compare(what, found, expected, mistakes=mistakes, atol=0, rtol=1e-3)
    if not result.right and isinstance(found, Tensor) and found.numel():
        span = f"yours lie between {found.min():.2g} and {found.max():.2g}"
        result = replace(result, words=f"{result.words}; {span}")
    yield result


def mlp_logits(X: Tensor, C: Tensor, W1: Tensor, b1: Tensor, W2: Tensor, b2: Tensor) -> Tensor:
    """tanh(embeddings W1 + b1) W2 + b2, (B, T) -> (B, V)."""
    h = torch.tanh(C[X].view(len(X), -1) @ W1 + b1)  # (B, H)
    return h @ W2 + b2


def _check_mlp(candidate: Any, generator: torch.Generator) -> Iterator[Comparison]:
    B, T, E, H = torch.randint(2, 7, (4,), generator=generator).tolist()
    V = 11
    model = torch.nn.Sequential(
        torch.nn.Embedding(V, E), torch.nn.Flatten(), torch.nn.Linear(T * E, H), torch.nn.Tanh(),
        torch.nn.Linear(H, V),
    )  # fmt: skip
    X = torch.randint(0, V, (B, T), generator=generator)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.randn(p.shape, generator=generator))
        expected = model(X)
        C, W1, b1, W2, b2 = (p.T if p.dim() == 2 else p for p in model.parameters())
        C = C.T
        flat = C[X].view(B, -1)
        mistakes = {
            "tanh is missing after the first layer": (flat @ W1 + b1) @ W2 + b2,
            "logits may have any size: no tanh after the last layer": expected.tanh(),
            "b1 is missing": torch.tanh(flat @ W1) @ W2 + b2,
            "add b1 before tanh": (torch.tanh(flat @ W1) + b1) @ W2 + b2,
            "b2 is missing": expected - b2,
            "these are probabilities; return the logits": expected.softmax(1),
        }
        tensors = (C, W1, b1, W2, b2)
        found = candidate(X.clone(), *(t.clone() for t in tensors))
    what = f"B {B}, T {T}, E {E}, H {H}, V {V}"
    yield compare(what, found, expected, mistakes=mistakes, atol=1e-5)


EXERCISES = [
    Exercise(
        "5.1", "contexts", title="Contexts of any length",
        hint="Go through each word with a 0 appended, as the loop of `examples` does. Store the "
        "context and the token, then make a new context: without the first, with the token at its end.",
        solution=contexts, check=_check_contexts,
    ),
    Exercise(
        "5.2", "embed_and_join", title="Embed and join",
        hint="C[X] has shape (B, T, E). Which view makes one row for each example? "
        "-1 stands for a size that follows from the others.",
        solution=embed_and_join, check=_check_embed,
    ),
    Exercise(
        "5.3", "mean_loss", title="The mean loss, in pieces",
        hint="torch.split(X, size) gives the pieces, the last of which may be smaller. Add up the "
        "losses of all examples: F.cross_entropy has reduction=\"sum\". Divide by len(Y) at the end.",
        solution=mean_loss, check=_check_mean_loss,
    ),
    Exercise(
        "5.4", "uniform_loss", title="The loss before training",
        hint="Each token has probability 1 / vocab_size, whichever is right. The loss is -log of "
        "it, by the natural logarithm.",
        solution=uniform_loss, check=_check_uniform_loss,
    ),
    Exercise(
        "5.5", "learning_rates", title="Random learning rates",
        hint="The exponent of low is math.log10(low). Go from it to the exponent of high by a "
        "share of `uniform`, then raise 10 to the result.",
        solution=learning_rates, check=_check_learning_rates,
    ),
    Exercise(
        "5.6", "mlp_logits", title="The whole forward pass",
        hint="Three lines: look up and join (exercise 5.2), a layer with tanh, a layer without. "
        "Take the sizes from the shapes of the arguments.",
        solution=mlp_logits, check=_check_mlp,
    ),
]  # fmt: skip
