"""The exercises of lesson 9: attention. B batch, T and S positions, C channels, D of a head."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from hornbook.lessons.comparison import Comparison, compare, holds
from hornbook.lessons.exercise import Exercise


def running_mean(x: Tensor) -> Tensor:
    """The mean of positions 0 to t at each t, (B, T, C) -> (B, T, C)."""
    weights = torch.ones(x.shape[1], x.shape[1]).tril()
    return weights / weights.sum(1, keepdim=True) @ x


def causal_weights(scores: Tensor) -> Tensor:
    """Softmax over the positions up to t, (B, T, T) -> (B, T, T)."""
    future = torch.ones(scores.shape[-2:]).tril() == 0
    return scores.masked_fill(future, -math.inf).softmax(-1)


def attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Causal attention, three times (B, T, D) -> (B, T, D)."""
    future = torch.ones(q.shape[1], q.shape[1]).tril() == 0
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    return scores.masked_fill(future, -math.inf).softmax(-1) @ v


def multi_head(x: Tensor, wq: Tensor, wk: Tensor, wv: Tensor, n_head: int) -> Tensor:
    """Causal attention by several heads, (B, T, C) -> (B, T, C)."""
    B, T, C = x.shape
    q, k, v = ((x @ w.T).view(B, T, n_head, C // n_head).transpose(1, 2) for w in (wq, wk, wv))
    future = torch.ones(T, T).tril() == 0
    scores = q @ k.transpose(-2, -1) / math.sqrt(C // n_head)  # (B, H, T, T)
    out = scores.masked_fill(future, -math.inf).softmax(-1) @ v  # (B, H, T, D)
    return out.transpose(1, 2).reshape(B, T, C)


def cross_attention(q: Tensor, k: Tensor, v: Tensor, lengths: Tensor) -> Tensor:
    """Attention to the first `lengths` positions, (B, T, D), (B, S, D) -> (B, T, D)."""
    padding = torch.arange(k.shape[1]) >= lengths[:, None]  # (B, S)
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])  # (B, T, S)
    return scores.masked_fill(padding[:, None], -math.inf).softmax(-1) @ v


def step(
    q: Tensor, k: Tensor, v: Tensor, keys: Tensor, values: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Attention of one new position, and keys and values with its own."""
    keys, values = torch.cat([keys, k], dim=1), torch.cat([values, v], dim=1)
    weights = (q @ keys.transpose(-2, -1) / math.sqrt(q.shape[-1])).softmax(-1)  # (B, 1, T + 1)
    return weights @ values, keys, values


def _sizes(generator: torch.Generator, low: int, high: int, n: int) -> list[int]:
    """n different sizes, so that a mixed up dimension shows."""
    return (torch.randperm(high - low, generator=generator)[:n] + low).tolist()


def _check_running_mean(candidate: Any, generator: torch.Generator) -> Iterator[Comparison]:
    x = torch.randn(*_sizes(generator, 2, 7, 3), generator=generator)
    count = torch.arange(1, x.shape[1] + 1)[:, None]
    mistakes = {
        "this is a running sum; divide position t by t + 1": x.cumsum(1),
        "this divides by T everywhere; position t is a mean of t + 1 positions": x.cumsum(1)
        / x.shape[1],
        "this is the mean of all positions, later ones included": x.mean(1, True).expand_as(x),
        "this runs along the batch; positions are dimension 1": x.cumsum(0)
        / torch.arange(1, x.shape[0] + 1)[:, None, None],
    }
    triangle = torch.ones(x.shape[1], x.shape[1]).tril()
    mistakes["the sums of the rows lack keepdim=True, so they divide the columns"] = (
        triangle / triangle.sum(1)
    ) @ x
    expected = x.cumsum(1) / count
    yield compare("the running mean", candidate(x.clone()), expected, mistakes=mistakes, atol=1e-5)


def _check_causal_weights(candidate: Any, generator: torch.Generator) -> Iterator[Comparison]:
    (T,) = _sizes(generator, 4, 8, 1)
    scores = torch.randn(3, T, T, generator=generator)
    past = torch.ones(T, T, dtype=torch.bool).tril()
    powers = scores.exp() * past
    masked = scores.masked_fill(~past, -math.inf)
    mistakes = {
        "a score of 0 is no mask: exp(0) is 1; use minus infinity": (scores * past).softmax(-1),
        "the mask comes after the softmax, so rows do not sum to 1": scores.softmax(-1) * past,
        "columns sum to 1; the softmax is along the last dimension": masked.softmax(-2),
        "this runs along the batch; the softmax is along the last dimension": masked.softmax(0),
        "this hides the past; positions up to t are kept": scores.masked_fill(
            ~past.T, -math.inf
        ).softmax(-1),
        "each position also has to see itself": _strict(scores, past),
    }
    found = candidate(scores.clone())
    yield compare("the weights", found, powers / powers.sum(-1, keepdim=True), mistakes=mistakes)
    yield holds("later positions", (found[:, ~past] == 0).all(), "a later position has a weight")


def _strict(scores: Tensor, past: Tensor) -> Tensor:
    """Weights of earlier positions without the position itself; NaN for the first."""
    return scores.masked_fill(~past.tril(-1), -math.inf).softmax(-1)


def _check_attention(candidate: Any, generator: torch.Generator) -> Iterator[Comparison]:
    q, k, v = torch.randn(3, 2, *_sizes(generator, 5, 9, 2), generator=generator)
    D, T = q.shape[-1], q.shape[1]

    def plain(scale: float, causal: bool = True) -> Tensor:
        return F.scaled_dot_product_attention(q, k, v, is_causal=causal, scale=scale)

    mistakes = {
        "the scores are not scaled; divide them by the root of D": plain(1.0),
        "the scores are divided by D; divide them by its square root": plain(1 / D),
        "the scores are divided by the root of T; D is the last dimension": plain(T**-0.5),
        "the scores are neither scaled nor masked": plain(1.0, causal=False),
        "positions see later ones; mask them before the softmax": plain(D**-0.5, causal=False),
        "the weights are divided after the softmax; divide the scores before it": plain(1.0)
        / math.sqrt(D),
        "the scores are multiplied by the root of D; divide them by it": plain(D**0.5),
        "queries and keys are exchanged": F.scaled_dot_product_attention(k, q, v, is_causal=True),
    }
    expected = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    found = candidate(q.clone(), k.clone(), v.clone())
    yield compare("the result", found, expected, mistakes=mistakes)


def _check_multi_head(candidate: Any, generator: torch.Generator) -> Iterator[Comparison]:
    T, D = _sizes(generator, 3, 7, 2)
    n_head, B = 2 + int(torch.randint(3, (1,), generator=generator)), 2
    C = n_head * D
    x = torch.randn(B, T, C, generator=generator)
    weights = torch.randn(3, C, C, generator=generator) / math.sqrt(C)

    def attend(q: Tensor, k: Tensor, v: Tensor, scale: float = D**-0.5) -> Tensor:
        return F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=scale)

    heads = []  # by a loop
    for h in range(n_head):
        q, k, v = (x @ w[h * D : (h + 1) * D].T for w in weights)
        heads.append(attend(q, k, v))
    q, k, v = ((x @ w.T).view(B, T, n_head, D).transpose(1, 2) for w in weights)
    joined_wrongly = attend(q, k, v).reshape(B, T, C)
    scaled_by_C = attend(q, k, v, C**-0.5).transpose(1, 2).reshape(B, T, C)
    unscaled = attend(q, k, v, 1.0).transpose(1, 2).reshape(B, T, C)
    everywhere = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(B, T, C)
    q, k, v = ((x @ w).view(B, T, n_head, D).transpose(1, 2) for w in weights)
    untransposed = attend(q, k, v).transpose(1, 2).reshape(B, T, C)
    q, k, v = ((x @ w.T).view(B, T, D, n_head).permute(0, 3, 1, 2) for w in weights)
    strided = attend(q, k, v).transpose(1, 2).reshape(B, T, C)
    q, k, v = ((x @ w.T).view(B, T, n_head, D) for w in weights)
    among_heads = F.scaled_dot_product_attention(q, k, v).reshape(B, T, C)
    q, k, v = ((x @ w.T).view(B, n_head, T, D) for w in weights)
    scrambled = attend(q, k, v)
    q, k, v = (x @ w.T for w in weights)
    mixes = "view(B, n_head, T, D) mixes positions and heads"
    mistakes = {
        f"{mixes}; view(B, T, n_head, D), then transpose(1, 2)": scrambled.reshape(B, T, C),
        f"{mixes}, even if it is transposed back": scrambled.transpose(1, 2).reshape(B, T, C),
        "the heads are joined in the wrong order; transpose(1, 2) before reshape": joined_wrongly,
        "the scores are divided by the root of C; a head has D = C / n_head channels": scaled_by_C,
        "the scores are not scaled; divide them by the root of D": unscaled,
        "positions see later ones; mask them before the softmax": everywhere,
        "the weights are used as x @ w; use x @ w.T": untransposed,
        "view(B, T, D, n_head) gives a head every n_head-th channel; view(B, T, n_head, D)": strided,
        "heads attend to heads; transpose(1, 2), so that positions attend to positions": among_heads,
        "this is one head of C channels": attend(q, k, v, C**-0.5),
    }
    expected = torch.cat(heads, dim=-1)
    found = candidate(x.clone(), *weights.clone(), n_head)
    yield compare(f"{n_head} heads of {D} channels", found, expected, mistakes=mistakes)


def _check_cross_attention(candidate: Any, generator: torch.Generator) -> Iterator[Comparison]:
    T, S, D = _sizes(generator, 4, 9, 3)
    lengths = torch.randint(1, S, (4,), generator=generator)
    q = torch.randn(4, T, D, generator=generator)
    k, v = torch.randn(2, 4, S, D, generator=generator)
    real = (torch.arange(S) < lengths[:, None])[:, None].expand(4, T, S)
    beyond = (torch.arange(S) <= lengths[:, None])[:, None].expand(4, T, S)
    scores = q @ k.transpose(-2, -1) / math.sqrt(D)
    zeros, late = scores * real, scores.softmax(-1) * real
    mistakes = {
        "the padding is attended to as well": F.scaled_dot_product_attention(q, k, v),
        "the scores are not scaled by the root of D": F.scaled_dot_product_attention(
            q, k, v, attn_mask=real, scale=1.0
        ),
        "a score of 0 is no mask: exp(0) is 1; use minus infinity": zeros.softmax(-1) @ v,
        "the mask comes after the softmax, so weights do not sum to 1": late @ v,
        "the first position of the padding is attended to as well; that is position lengths[b]": (
            F.scaled_dot_product_attention(q, k, v, attn_mask=beyond)
        ),
        "a position sees only the source up to its own place; a source has no future to hide": (
            F.scaled_dot_product_attention(q, k, v, attn_mask=real & torch.ones(T, S).tril().bool())
        ),
    }
    expected = F.scaled_dot_product_attention(q, k, v, attn_mask=real)
    found = candidate(q.clone(), k.clone(), v.clone(), lengths.clone())
    yield compare(f"sources of lengths {lengths.tolist()}", found, expected, mistakes=mistakes)


def _check_step(candidate: Any, generator: torch.Generator) -> Iterator[Comparison]:
    T, D = _sizes(generator, 4, 9, 2)
    q, k, v = torch.randn(3, 2, T + 1, D, generator=generator)
    whole = F.scaled_dot_product_attention(q, k, v, is_causal=True)[:, -1:]
    without = F.scaled_dot_product_attention(q[:, -1:], k[:, :-1], v[:, :-1])
    found = candidate(q[:, -1:], k[:, -1:], v[:, -1:], k[:, :-1].clone(), v[:, :-1].clone())
    three = isinstance(found, tuple | list) and len(found) == 3
    yield holds("three results", three, "expected three tensors: result, keys, values")
    mistakes = {
        "the new position does not see itself; append its key and value first": without,
        "the scores are not scaled by the root of D": F.scaled_dot_product_attention(
            q[:, -1:], k, v, scale=1.0
        ),
        "the new position sees only the first one; it is the last, so it needs no mask": v[:, :1],
    }
    yield compare("the new position", found[0], whole, mistakes=mistakes)
    first = {"the new key comes last, after the earlier ones": torch.cat([k[:, -1:], k[:, :-1]], 1)}
    yield compare("the keys", found[1], k, mistakes=first)
    yield compare("the values", found[2], v)


EXERCISES = [
    Exercise(
        "9.1",
        "running_mean",
        title="A running mean without a loop",
        hint="A lower triangular matrix of ones, each row divided by its sum, times x. Or: "
        "torch.cumsum along dimension 1, divided by 1, 2, 3, ... in the right shape.",
        solution=running_mean,
        check=_check_running_mean,
    ),
    Exercise(
        "9.2",
        "causal_weights",
        title="Weights that ignore the future",
        hint="masked_fill(mask, -math.inf) where the mask is True above the diagonal, then softmax "
        "along the last dimension. torch.ones(T, T).tril() is 1 on and below the diagonal.",
        solution=causal_weights,
        check=_check_causal_weights,
    ),
    Exercise(
        "9.3",
        "attention",
        title="Scaled attention",
        hint="k.transpose(-2, -1) is (B, D, T). Divide by math.sqrt(q.shape[-1]) before the softmax.",
        solution=attention,
        check=_check_attention,
    ),
    Exercise(
        "9.4",
        "multi_head",
        title="Heads as one batch dimension",
        hint="(x @ w.T).view(B, T, n_head, D).transpose(1, 2) is (B, n_head, T, D). After the "
        "attention go the same way back: transpose(1, 2), then reshape(B, T, C).",
        solution=multi_head,
        check=_check_multi_head,
    ),
    Exercise(
        "9.5",
        "cross_attention",
        title="Cross-attention to texts of different lengths",
        hint="torch.arange(S) >= lengths[:, None] is True for padding, (B, S). It needs one more "
        "dimension, for the T queries, before it masks scores of shape (B, T, S).",
        solution=cross_attention,
        check=_check_cross_attention,
    ),
    Exercise(
        "9.6",
        "step",
        title="One more token",
        hint="Append k to keys and v to values with torch.cat along dimension 1. The newest position "
        "may attend to all of them, so no mask is needed.",
        solution=step,
        check=_check_step,
    ),
]
