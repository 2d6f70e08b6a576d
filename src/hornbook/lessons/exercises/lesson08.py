"""Exercises of lesson 8: layers from scratch and WaveNet.

B batch, T time, C channels, H hidden units, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from hornbook.lessons.comparison import Comparison, compare
from hornbook.lessons.exercise import Exercise


def smooth(losses: list[float], n: int) -> Tensor:
    """The mean of each n losses in a row; what is left at the end is dropped."""
    whole = len(losses) // n * n
    return torch.tensor(losses[:whole]).view(-1, n).mean(1)


def _check_smooth(candidate: Any, generator: torch.Generator) -> Iterator[Comparison]:
    n, groups = (torch.randperm(5, generator=generator)[:2] + 3).tolist()
    losses = 1 + torch.rand(n * groups, generator=generator)
    expected = F.avg_pool1d(losses[None, None], n)[0, 0]
    mistakes = {
        "these are means of every n-th loss; take n in a row: view(-1, n)": losses.view(n, -1).mean(
            0
        ),
        "these are sums; take means": expected * n,
    }
    yield compare(
        f"{n * groups} losses, n {n}", candidate(losses.tolist(), n), expected, mistakes=mistakes
    )
    longer = [*losses.tolist(), 100.0]
    what = f"{n * groups + 1} losses, n {n}: the last one is left over"
    yield compare(what, candidate(longer, n), expected)


def flatten_consecutive(x: Tensor, n: int) -> Tensor:
    """(B, T, C) -> (B, T / n, C n), or (B, C n) where T is n."""
    B, T, C = x.shape
    x = x.view(B, T // n, C * n)
    return x.squeeze(1) if n == T else x


def _check_flatten(candidate: Any, generator: torch.Generator) -> Iterator[Comparison]:
    n, groups, B, C = (torch.randperm(4, generator=generator) + 2).tolist()
    x = torch.randn(B, n * groups, C, generator=generator)
    apart = [x[:, i::n] for i in range(n)]  # the first of each group, the second ...
    expected = torch.cat(apart, dim=2)
    mistakes = {
        "neighbors belong together; here positions that are far apart are joined": torch.cat(
            torch.split(x, groups, dim=1), dim=2
        ),
        "the channels of the neighbors are interleaved; one neighbor's come first, then the "
        "other's": torch.stack(apart, dim=3).flatten(2),
    }
    found = candidate(x.clone(), n)
    yield compare(f"x {tuple(x.shape)}, n {n}", found, expected, mistakes=mistakes)
    short = x[:, :n].contiguous()
    what = f"x {tuple(short.shape)}, n {n}: one position is left"
    yield compare(what, candidate(short.clone(), n), short.flatten(1))
    single = x[:1].contiguous()
    what = f"x {tuple(single.shape)}, n {n}: the batch is one example, and stays a batch"
    yield compare(what, candidate(single.clone(), n), expected[:1])


def count_parameters(vocab_size: int, n_embd: int, n_hidden: int, context_length: int) -> int:
    """Embedding, one matrix and one BatchNorm for each level, the last layer."""
    total, width = vocab_size * n_embd, n_embd
    while context_length > 1:
        total += 2 * width * n_hidden + 2 * n_hidden
        width, context_length = n_hidden, context_length // 2
    return total + n_hidden * vocab_size + vocab_size


def _check_count(candidate: Any, generator: torch.Generator) -> Iterator[Comparison]:
    V, E, H = (torch.randperm(60, generator=generator)[:3] + 5).tolist()
    for levels in (3, int(torch.randint(4, 7, (1,), generator=generator))):
        layers: list[torch.nn.Module] = [torch.nn.Embedding(V, E), torch.nn.Linear(H, V)]
        for i in range(levels):
            layers += [torch.nn.Linear(2 * (H if i else E), H, bias=False), torch.nn.BatchNorm1d(H)]
        total = sum(p.numel() for layer in layers for p in layer.parameters())
        mistakes = {
            "the positions of a level share one matrix; count it once": total
            + sum((2 ** (levels - 1 - i) - 1) * 2 * (H if i else E) * H for i in range(levels)),
            "the two parameters of each unit of BatchNorm are missing": total - levels * 2 * H,
            "BatchNorm has a gain and a bias for each unit": total - levels * H,
            "the bias of the last layer is missing": total - V,
            "the embedding is missing": total - V * E,
            "layers before a BatchNorm have no bias": total + levels * H,
            "only the first level reads embeddings; the others read n_hidden channels": total
            + (levels - 1) * 2 * (E - H) * H,
            "a level joins two vectors, so its matrix has 2 * width rows": total
            - (E + (levels - 1) * H) * H,
            "there is one level for each halving of the context, log2 of it": total
            + (2**levels - levels) * (2 * H * H + 2 * H),
            "three levels join 8 characters; this context is longer": total
            - (levels - 3) * (2 * H * H + 2 * H),
        }
        what = f"{V} tokens, {E} and {H} channels, context {2**levels}"
        yield compare(what, candidate(V, E, H, 2**levels), total, mistakes=mistakes, rtol=0, atol=0)


def batchnorm(x: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
    """Each channel normalized over all other dimensions, of the shape of x."""
    dims = tuple(range(x.ndim - 1))
    mean, variance = x.mean(dims), x.var(dims)
    return gamma * (x - mean) / torch.sqrt(variance + 1e-5) + beta


def _check_batchnorm(candidate: Any, generator: torch.Generator) -> Iterator[Comparison]:
    B, T, C = (torch.randperm(5, generator=generator)[:3] + 3).tolist()
    gamma, beta = torch.randn(2, C, generator=generator)
    shift = 3 * torch.randn(T, 1, generator=generator)  # positions differ
    for shape in ((B, C), (B, T, C)):
        x = torch.randn(shape, generator=generator) * 2
        x = x + shift if x.ndim == 3 else x
        n = x.numel() // C
        rows = x.reshape(n, C)  # torch divides by the variance over n
        ratio = ((n - 1) / n) ** 0.5
        normal = F.batch_norm(rows, None, None, gamma * ratio, beta, True, eps=1e-5 * (n - 1) / n)
        expected = normal.view(shape)
        mistakes = {
            "each position has its own mean and variance; average over the positions too": gamma
            * (x - x.mean(0))
            / (x.var(0) + 1e-5).sqrt()
            + beta,
            "each example is normalized by itself; average over the examples": gamma
            * (x - x.mean(-1, keepdim=True))
            / (x.var(-1, keepdim=True) + 1e-5).sqrt()
            + beta,
            "the channels are mixed; each has its own mean and variance": gamma
            * (x - x.mean())
            / (x.var() + 1e-5).sqrt()
            + beta,
            "take the variance over n - 1, as x.var does by default": F.batch_norm(
                rows, None, None, gamma, beta, True, eps=1e-5
            ).view(shape),
        }
        mistakes["gamma and beta are missing"] = (expected - beta) / gamma
        if x.ndim == 3:
            mistakes["average over examples and positions, (0, 1), not over positions alone"] = (
                gamma * (x - x.mean(1, keepdim=True)) / (x.var(1, keepdim=True) + 1e-5).sqrt()
                + beta
            )
        found = candidate(x.clone(), gamma.clone(), beta.clone())
        yield compare(f"x {shape}", found, expected, mistakes=mistakes, atol=1e-5)


def dilated(x: Tensor, W: Tensor, dilation: int) -> Tensor:
    """Each position joined with the one `dilation` before it, (B, T, C) and (2 C, H) -> (B, T, H)."""
    earlier = F.pad(x, (0, 0, dilation, 0))[:, : x.shape[1]]
    return torch.cat([earlier, x], dim=2) @ W


def _check_dilated(candidate: Any, generator: torch.Generator) -> Iterator[Comparison]:
    B, T, C, H = (torch.randperm(5, generator=generator)[:4] + 3).tolist()
    T += 4
    x = torch.randn(B, T, C, generator=generator)
    W = torch.randn(2 * C, H, generator=generator)
    for dilation in (1, 2, 4):
        kernel = torch.stack([W[:C].T, W[C:].T], dim=2)  # (H, C, 2), the earlier first
        padded = F.pad(x.transpose(1, 2), (dilation, 0))
        expected = F.conv1d(padded, kernel, dilation=dilation).transpose(1, 2)
        rolled = torch.cat([x.roll(dilation, 1), x], dim=2) @ W
        later = F.pad(x, (0, 0, 0, dilation))[:, dilation:]
        near = F.pad(x, (0, 0, 1, 0))[:, :T]
        first = torch.cat([x[:, :1].expand(-1, dilation, -1), x[:, :-dilation]], dim=1)
        mistakes = {
            "the earlier position comes first, then the position itself": torch.cat(
                [x, F.pad(x, (0, 0, dilation, 0))[:, :T]], dim=2
            )
            @ W,
            "before the beginning there are zeros; roll brings the end to the front": rolled,
            "this looks into the future; take position t - dilation": torch.cat([later, x], dim=2)
            @ W,
            "look `dilation` positions back, not always one": torch.cat([near, x], dim=2) @ W,
            "before the beginning take zeros, not the first position": torch.cat([first, x], dim=2)
            @ W,
        }
        what = f"x {tuple(x.shape)}, dilation {dilation}"
        found = candidate(x.clone(), W.clone(), dilation)
        yield compare(what, found, expected, mistakes=mistakes, atol=1e-5)


def receptive_field(layers: list[tuple[int, int]]) -> int:
    """1, and (width - 1) dilation more for each layer."""
    return 1 + sum((width - 1) * dilation for width, dilation in layers)


def _check_field(candidate: Any, generator: torch.Generator) -> Iterator[Comparison]:
    draw = torch.randint(2, 4, (2, 3), generator=generator)
    for layers in (
        [(2, 1), (2, 2), (2, 4)],
        list(zip(draw[0].tolist(), [1, 3, int(draw[1, 0]) + 3], strict=True)),
        [(3, 2)],
    ):
        expected = _measured_field(layers)
        total = 1
        for width, _ in layers:
            total *= width
        mistakes = {
            "a layer of width w adds w - 1 steps of its dilation, not w": 1
            + sum(w * d for w, d in layers),
            "a layer of width w adds w - 1 steps of its dilation, and the position itself counts "
            "once": sum(w * d for w, d in layers),
            "the position itself counts as well": expected - 1,
            "dilations are missing: a layer adds (width - 1) * dilation": 1
            + sum(w - 1 for w, _ in layers),
            "widths multiply only where each dilation fits the field so far": total,
            "width 2 is not the only one: a layer adds (width - 1) * dilation": 1
            + sum(d for _, d in layers),
            "count from the earliest to the last position, with those in between": sum(
                w for w, _ in layers
            ),
        }
        yield compare(
            f"layers {layers}", candidate(list(layers)), expected, mistakes=mistakes, rtol=0, atol=0
        )


def _measured_field(layers: list[tuple[int, int]]) -> int:
    """From the first input that the last output of torch's convolutions depends on to the last."""
    x = torch.ones(1, 1, 100, dtype=torch.float64, requires_grad=True)
    out = x
    for width, dilation in layers:
        kernel = torch.ones(1, 1, width, dtype=torch.float64)
        out = F.conv1d(F.pad(out, ((width - 1) * dilation, 0)), kernel, dilation=dilation)
    (gradient,) = torch.autograd.grad(out[0, 0, -1], x)
    return 100 - int(gradient[0, 0].nonzero()[0])


EXERCISES = [
    Exercise(
        "8.1", "smooth", title="Smooth a curve",
        hint="Drop the rest: losses[: len(losses) // n * n]. As a tensor with view(-1, n) each row "
        "has n losses in a row.",
        solution=smooth, check=_check_smooth,
    ),
    Exercise(
        "8.2", "flatten_consecutive", title="Flatten n neighbors",
        hint="B, T, C = x.shape, then one view. squeeze(1) drops dimension 1 if its size is 1; "
        "squeeze() without a number drops a batch of one as well.",
        solution=flatten_consecutive, check=_check_flatten,
    ),
    Exercise(
        "8.3", "count_parameters", title="Count the parameters",
        hint="Go through the printed layers. How many levels are there, how wide is the input of "
        "the first one, and how wide that of the others? All positions of a level share its matrix.",
        solution=count_parameters, check=_check_count,
    ),
    Exercise(
        "8.4", "batchnorm", title="BatchNorm for two and three dimensions",
        hint="mean and var take several dimensions at once: x.mean((0, 1)). For x.ndim == 2 it is "
        "0 alone: all dimensions but the last.",
        solution=batchnorm, check=_check_batchnorm,
    ),
    Exercise(
        "8.5", "dilated", title="A dilated causal layer",
        hint="Make a shifted copy of x: `dilation` positions of zeros, then x without its last "
        "`dilation` positions. Concatenate both along the channels, then @ W.",
        solution=dilated, check=_check_dilated,
    ),
    Exercise(
        "8.6", "receptive_field", title="The receptive field",
        hint="A single position sees 1. A layer of width w reaches back w - 1 steps of its "
        "dilation, and each layer reaches back from where the one above it already does.",
        solution=receptive_field, check=_check_field,
    ),
]  # fmt: skip
