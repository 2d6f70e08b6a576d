"""Lesson 10: the solutions pass, and wrong answers that learners give are told what is wrong."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hornbook.lessons.exercises.lesson10 import (
    EXERCISES,
    addition_example,
    count_parameters,
    fine_tune,
)
from tests.lessons.exercises.common import fails, passes


@pytest.mark.parametrize("number", [exercise.number for exercise in EXERCISES])
def test_the_solution_passes(number: str) -> None:
    passes(number)


def normalized(x: Tensor, dim: Any, unbiased: bool = False) -> Tensor:
    variance = x.var(dim, keepdim=True, unbiased=unbiased)
    return (x - x.mean(dim, keepdim=True)) / torch.sqrt(variance + 1e-5)


def uncropped(model: Any, ids: Tensor, n: int, generator: torch.Generator) -> Tensor:
    for _ in range(n):
        p = model(ids)[:, -1].softmax(-1)
        ids = torch.cat([ids, torch.multinomial(p, 1, generator=generator)], dim=1)
    return ids


def greedy(model: Any, ids: Tensor, n: int, generator: torch.Generator) -> Tensor:
    for _ in range(n):
        logits = model(ids[:, -model.context_length :])[:, -1]
        ids = torch.cat([ids, logits.argmax(-1, keepdim=True)], dim=1)
    return ids


def forgetful(model: Any, ids: Tensor, n: int, generator: torch.Generator) -> Tensor:
    for _ in range(n):
        ids = ids[:, -model.context_length :]
        p = model(ids)[:, -1].softmax(-1)
        ids = torch.cat([ids, torch.multinomial(p, 1, generator=generator)], dim=1)
    return ids


def forward_digits(a: int, b: int) -> tuple[Tensor, Tensor]:
    text = f"{a:02d}+{b:02d}={a + b:03d}"
    ids = torch.tensor(["0123456789+=".index(c) for c in text])
    return ids[:-1], torch.where(torch.arange(8) < 5, -1, ids[1:])


def masked(first: int) -> Callable[[int, int], tuple[Tensor, Tensor]]:
    """The solution, but scored from position `first` on."""

    def example(a: int, b: int) -> tuple[Tensor, Tensor]:
        x, y = addition_example(a, b)
        whole = torch.cat([x[1:], y[-1:]])
        return x, torch.where(torch.arange(8) < first, -1, whole)

    return example


def without_root(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    variance = x.var(-1, keepdim=True, unbiased=False)
    return (x - x.mean(-1, keepdim=True)) / (variance + 1e-5) * weight + bias


def written(
    model: Any, ids: Tensor, n: int, generator: Any, first: bool = False, dim: int = -1
) -> Tensor:
    T = model.context_length
    for _ in range(n):
        p = model(ids[:, :T] if first else ids[:, -T:])[:, -1].softmax(dim)
        ids = torch.cat([ids, torch.multinomial(p, 1, generator=generator)], 1)
    return ids


def in_the_same_memory(a: int, b: int) -> tuple[Tensor, Tensor]:
    x, y = addition_example(a, b)
    ids = torch.cat([x, y[-1:]])
    ids[1:6] = -1
    return ids[:-1], ids[1:]


def all_reversed(a: int, b: int) -> tuple[Tensor, Tensor]:
    text = f"{a:02d}+{b:02d}={a + b:03d}"[::-1]
    ids = torch.tensor(["0123456789+=".index(character) for character in text])
    return ids[:-1], ids[1:]


def forgets(pretrained: nn.Module, batches: Any, lr: float) -> nn.Module:
    model = pretrained
    for batch in batches:
        model = fine_tune(model, [batch], lr)
    return model


def over_all(logits: Tensor, targets: Tensor) -> Tensor:
    flat = logits.flatten(0, 1), targets.flatten()
    return F.cross_entropy(*flat, ignore_index=-1, reduction="sum") / targets.numel()


def as_last_token(logits: Tensor, targets: Tensor) -> Tensor:
    log_p = logits.log_softmax(-1).flatten(0, 1)
    return -log_p[torch.arange(len(log_p)), targets.flatten()].mean()


def in_place(pretrained: nn.Module, batches: Any, lr: float) -> nn.Module:
    trained = fine_tune(pretrained, batches, lr)
    pretrained.load_state_dict(trained.state_dict())
    return pretrained


def accumulating(pretrained: nn.Module, batches: Any, lr: float) -> nn.Module:
    model = copy.deepcopy(pretrained)
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr)
    for x, y in batches:
        F.cross_entropy(model(x).flatten(0, 1), y.flatten()).backward()
        optimizer.step()
    return model


WRONG: list[tuple[str, Callable[..., Any], str]] = [
    ("10.1", lambda x, w, b: normalized(x, -1, True) * w + b, "unbiased"),
    ("10.1", lambda x, w, b: normalized(x, (0, 1)) * w + b, "as BatchNorm does"),
    ("10.1", lambda x, w, b: normalized(x, 0) * w + b, "over the batch"),
    ("10.1", lambda x, w, b: normalized(x, -1), "weight and bias are missing"),
    (
        "10.1",
        lambda x, w, b: (x - x.mean(-1, True)) / (x.std(-1, keepdim=True) + 1e-5),
        "differ",
    ),
    ("10.1", without_root, "divide by its root"),
    (
        "10.1",
        lambda x, w, b: (x - x.mean(-1, True)) / (x.std(-1, keepdim=True) + 1e-5) * w + b,
        "divides by C - 1, and",
    ),
    ("10.2", lambda *s: count_parameters(*s) - s[0], "the head has a bias"),
    ("10.2", lambda *s: count_parameters(*s) + 3 * s[2] * s[3], "have no bias"),
    ("10.2", lambda *s: count_parameters(*s) - 2 * s[2], "last LayerNorm"),
    ("10.2", lambda *s: count_parameters(*s) - s[1] * s[2], "table of positions"),
    ("10.2", lambda *s: 12 * s[2] ** 2 * s[3], "expected"),
    ("10.3", uncropped, "expected at most 5"),
    ("10.3", greedy, "these are the likeliest tokens"),
    ("10.3", forgetful, "crop only what the model reads"),
    ("10.3", lambda *a: written(*a, first=True), "crop to the last ones"),
    ("10.3", lambda *a: written(*a, dim=0), "softmax is along the batch"),
    ("10.3", lambda model, ids, n, generator: written(model, ids, n, None), "it was not used"),
    ("10.4", forward_digits, "not reversed"),
    ("10.4", in_the_same_memory, "shares its memory"),
    ("10.4", all_reversed, "the whole text is reversed"),
    ("10.4", lambda a, b: (torch.tensor([a, 10, b, 11]), torch.tensor([10, b, 11, a])), "zeros"),
    ("10.4", masked(6), "predicts the first digit"),
    ("10.4", masked(4), "belongs to the question"),
    ("10.4", masked(0), "not masked"),
    ("10.4", lambda a, b: addition_example(a, b)[0], "expected two tensors"),
    ("10.5", over_all, "divide by the scored ones"),
    ("10.5", as_last_token, "as if their target were the last token"),
    ("10.5", lambda z, t: F.cross_entropy(z.flatten(0, 1), t.flatten().clamp(min=0)), "token 0"),
    ("10.5", lambda z, t: F.cross_entropy(z[t > 0], t[t > 0]), "target is token 0 are left out"),
    ("10.6", in_place, "train a copy"),
    ("10.6", forgets, "each step has a new optimizer"),
    ("10.6", lambda model, batches, lr: fine_tune(model, batches, 1e-3), "AdamW's own"),
    ("10.6", accumulating, "call zero_grad"),
    ("10.6", lambda model, batches, lr: copy.deepcopy(model), "a step for each batch"),
    ("10.6", lambda model, batches, lr: None, "expected the new model"),
]


@pytest.mark.parametrize(
    ("number", "answer", "said"), WRONG, ids=[f"{n} {said}" for n, _, said in WRONG]
)
def test_a_wrong_answer_is_told_why(number: str, answer: Callable[..., Any], said: str) -> None:
    fails(number, answer, said)
