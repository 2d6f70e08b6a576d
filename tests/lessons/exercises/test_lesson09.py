"""Lesson 9: the solutions pass, and wrong answers that learners give are told what is wrong."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from tests.lessons.exercises.common import fails, passes


@pytest.mark.parametrize("number", [f"9.{i}" for i in range(1, 7)])
def test_the_solution_passes(number: str) -> None:
    passes(number)


def past(scores: Tensor) -> Tensor:
    return torch.ones(scores.shape[-2:], dtype=torch.bool).tril()


def attend(q: Tensor, k: Tensor, v: Tensor, scale: float, mask: bool = True) -> Tensor:
    scores = q @ k.transpose(-2, -1) * scale
    if mask:
        scores = scores.masked_fill(~past(scores), -math.inf)
    return scores.softmax(-1) @ v


def cut(x: Tensor, w: Tensor, n_head: int) -> Tensor:
    B, T, C = x.shape
    return (x @ w.T).view(B, T, n_head, C // n_head).transpose(1, 2)


def scrambled(x: Tensor, wq: Tensor, wk: Tensor, wv: Tensor, n_head: int) -> Tensor:
    B, T, C = x.shape
    q, k, v = ((x @ w.T).view(B, n_head, T, C // n_head) for w in (wq, wk, wv))
    return attend(q, k, v, (C // n_head) ** -0.5).reshape(B, T, C)


def joined_wrongly(x: Tensor, wq: Tensor, wk: Tensor, wv: Tensor, n_head: int) -> Tensor:
    q, k, v = (cut(x, w, n_head) for w in (wq, wk, wv))
    return attend(q, k, v, q.shape[-1] ** -0.5).reshape(x.shape)


def padded(q: Tensor, k: Tensor, v: Tensor, lengths: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(q, k, v)


def zeroed(q: Tensor, k: Tensor, v: Tensor, lengths: Tensor) -> Tensor:
    real = torch.arange(k.shape[1]) < lengths[:, None]
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1]) * real[:, None]
    return scores.softmax(-1) @ v


def heads(
    x: Tensor, wq: Tensor, wk: Tensor, wv: Tensor, n: int, mask: bool = True, scaled: bool = True
) -> Tensor:
    q, k, v = (cut(x, w, n) for w in (wq, wk, wv))
    out = attend(q, k, v, q.shape[-1] ** -0.5 if scaled else 1.0, mask)
    return out.transpose(1, 2).reshape(x.shape)


def every_nth(x: Tensor, wq: Tensor, wk: Tensor, wv: Tensor, n: int) -> Tensor:
    B, T, C = x.shape
    q, k, v = ((x @ w.T).view(B, T, C // n, n).permute(0, 3, 1, 2) for w in (wq, wk, wv))
    return attend(q, k, v, q.shape[-1] ** -0.5).transpose(1, 2).reshape(x.shape)


def not_moved(x: Tensor, wq: Tensor, wk: Tensor, wv: Tensor, n: int) -> Tensor:
    q, k, v = (cut(x, w, n).transpose(1, 2) for w in (wq, wk, wv))
    return attend(q, k, v, q.shape[-1] ** -0.5, mask=False).reshape(x.shape)


def cross(q: Tensor, k: Tensor, v: Tensor, lengths: Tensor, mask: bool = False) -> Tensor:
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    seen = (torch.arange(k.shape[1]) < lengths[:, None])[:, None].expand_as(scores)
    return scores.masked_fill(~(seen & past(scores) if mask else seen), -math.inf).softmax(-1) @ v


def masked_late(q: Tensor, k: Tensor, v: Tensor, lengths: Tensor) -> Tensor:
    real = (torch.arange(k.shape[1]) < lengths[:, None])[:, None]
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    return (scores.softmax(-1) * real) @ v


def masked_step(q: Tensor, k: Tensor, v: Tensor, keys: Tensor, values: Tensor) -> Any:
    keys, values = torch.cat([keys, k], 1), torch.cat([values, v], 1)
    return attend(q, keys, values, q.shape[-1] ** -0.5), keys, values


def blind(q: Tensor, k: Tensor, v: Tensor, keys: Tensor, values: Tensor) -> Any:
    out = F.scaled_dot_product_attention(q, keys, values)
    return out, torch.cat([keys, k], 1), torch.cat([values, v], 1)


def backwards(q: Tensor, k: Tensor, v: Tensor, keys: Tensor, values: Tensor) -> Any:
    keys, values = torch.cat([k, keys], 1), torch.cat([v, values], 1)
    return F.scaled_dot_product_attention(q, keys, values), keys, values


WRONG: list[tuple[str, Callable[..., Any], str]] = [
    ("9.1", lambda x: x.cumsum(1), "this is a running sum"),
    ("9.1", lambda x: x.mean(1, True).expand_as(x), "later ones included"),
    ("9.1", lambda x: x.mean(1), "found shape"),
    ("9.1", lambda x: x.cumsum(1) / x.shape[1], "divides by T everywhere"),
    ("9.1", lambda x: (past(x @ x.mT) / past(x @ x.mT).sum(1)) @ x, "lack keepdim=True"),
    ("9.2", lambda s: s.softmax(-1) * past(s), "rows do not sum to 1"),
    ("9.2", lambda s: (s * past(s)).softmax(-1), "exp(0) is 1"),
    ("9.2", lambda s: s.masked_fill(~past(s), -math.inf).softmax(-2), "columns sum to 1"),
    ("9.2", lambda s: s.masked_fill(~past(s).T, -math.inf).softmax(-1), "hides the past"),
    ("9.2", lambda s: s.masked_fill(~past(s).tril(-1), -math.inf).softmax(-1), "found nan"),
    ("9.2", lambda s: s.masked_fill(~past(s), -math.inf).softmax(0), "runs along the batch"),
    ("9.3", lambda q, k, v: attend(q, k, v, 1.0), "not scaled"),
    ("9.3", lambda q, k, v: attend(q, k, v, 1.0, mask=False), "neither scaled nor masked"),
    ("9.3", lambda q, k, v: attend(q, k, v, 1.0) / q.shape[2] ** 0.5, "after the softmax"),
    ("9.3", lambda q, k, v: attend(q, k, v, q.shape[2] ** 0.5), "are multiplied"),
    ("9.3", lambda q, k, v: attend(q, k, v, 1 / q.shape[-1]), "divided by D"),
    ("9.3", lambda q, k, v: attend(q, k, v, q.shape[1] ** -0.5), "root of T"),
    ("9.3", lambda q, k, v: attend(q, k, v, q.shape[2] ** -0.5, mask=False), "see later ones"),
    ("9.3", lambda q, k, v: attend(k, q, v, q.shape[2] ** -0.5), "exchanged"),
    ("9.4", scrambled, "mixes positions and heads"),
    ("9.4", joined_wrongly, "joined in the wrong order"),
    ("9.4", lambda x, q, k, v, n: cut(x, v, n), "found shape"),
    ("9.4", lambda x, q, k, v, n: heads(x, q.T, k.T, v.T, n), "use x @ w.T"),
    ("9.4", lambda *a: heads(*a, mask=False), "see later ones"),
    ("9.4", lambda *a: heads(*a, scaled=False), "not scaled"),
    ("9.4", every_nth, "every n_head-th channel"),
    ("9.4", not_moved, "heads attend to heads"),
    ("9.5", padded, "the padding is attended to"),
    ("9.5", zeroed, "exp(0) is 1"),
    ("9.5", lambda q, k, v, lengths: cross(q, k, v, lengths + 1), "first position of the padding"),
    ("9.5", lambda *a: cross(*a, mask=True), "no future to hide"),
    ("9.5", masked_late, "mask comes after the softmax"),
    ("9.6", blind, "does not see itself"),
    ("9.6", backwards, "the new key comes last"),
    ("9.6", masked_step, "needs no mask"),
    ("9.6", lambda *a: a[0], "expected three tensors"),
]


@pytest.mark.parametrize(
    ("number", "answer", "said"), WRONG, ids=[f"{n} {said}" for n, _, said in WRONG]
)
def test_a_wrong_answer_is_told_why(number: str, answer: Callable[..., Any], said: str) -> None:
    fails(number, answer, said)
