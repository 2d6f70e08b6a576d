"""The exercises of lesson 8 pass with their solutions and say what is wrong with common mistakes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from hornbook.lessons.exercises.lesson08 import (
    batchnorm,
    count_parameters,
    flatten_consecutive,
    receptive_field,
    smooth,
)
from tests.lessons.exercises.common import fails, passes


@pytest.mark.parametrize("number", ["8.1", "8.2", "8.3", "8.4", "8.5", "8.6"])
def test_the_solution_passes(number: str) -> None:
    passes(number)


def test_curves_smoothed_otherwise() -> None:
    fails("8.1", lambda x, n: torch.tensor(x).view(n, -1).mean(0), "every n-th loss")
    fails("8.1", lambda x, n: smooth(x, n) * n, "these are sums")
    fails("8.1", lambda x, n: torch.tensor(x).view(-1, n).mean(1), "raised RuntimeError")
    fails("8.1", lambda x, n: torch.tensor(x).unfold(0, n, 1).mean(1), "found shape")
    fails("8.1", lambda x, n: smooth(x, n).tolist(), "found a list")


def test_neighbors_joined_otherwise() -> None:
    def far(x: Tensor, n: int) -> Tensor:
        return torch.cat(x.split(x.shape[1] // n, dim=1), dim=2)

    def interleaved(x: Tensor, n: int) -> Tensor:
        return torch.stack([x[:, i::n] for i in range(n)], dim=3).flatten(2)

    fails("8.2", far, "far apart")
    fails("8.2", interleaved, "interleaved")
    fails("8.2", lambda x, n: flatten_consecutive(x, n).squeeze(), "stays a batch", "found shape")

    def kept(x: Tensor, n: int) -> Tensor:
        B, T, C = x.shape
        return x.view(B, T // n, C * n)

    fails("8.2", kept, "one position is left", "found shape")
    fails("8.2", lambda x, n: x.flatten(1), "found shape")


def test_parameters_counted_otherwise() -> None:
    def count(V: int, E: int, H: int, context: int, wrong: str) -> int:
        levels = context.bit_length() - 1
        total = count_parameters(V, E, H, context)
        if wrong == "positions":
            for i in range(levels):
                total += (context // 2 ** (i + 1) - 1) * 2 * (H if i else E) * H
        if wrong == "levels":
            total += (context - levels) * (2 * H * H + 2 * H)
        return {
            "norm": total - 2 * H * levels,
            "gain": total - H * levels,
            "last": total - V,
            "table": total - V * E,
            "bias": total + H * levels,
            "width": total + (levels - 1) * 2 * (E - H) * H,
            "single": total - (E + (levels - 1) * H) * H,
        }.get(wrong, total)

    for wrong, said in {
        "positions": "share one matrix", "norm": "BatchNorm are missing", "gain": "a gain and a bias",
        "last": "bias of the last layer", "table": "embedding is missing", "bias": "have no bias",
        "width": "only the first level", "single": "2 * width rows", "levels": "log2",
    }.items():  # fmt: skip
        fails("8.3", lambda *a, wrong=wrong: count(*a, wrong), said)
    fails("8.3", lambda V, E, H, T: 76_579, "the largest difference")
    fails("8.3", lambda V, E, H, T: count_parameters(V, E, H, 8), "three levels join 8")


def test_batchnorm_over_the_wrong_dimensions() -> None:
    def over(x: Tensor, gamma: Tensor, beta: Tensor, *dims: int) -> Tensor:
        mean, var = x.mean(dims, keepdim=True), x.var(dims, keepdim=True)
        return gamma * (x - mean) / (var + 1e-5).sqrt() + beta

    fails("8.4", lambda x, g, b: over(x, g, b, 0), "x (", "average over the positions too")
    fails("8.4", lambda x, g, b: over(x, g, b, -1), "normalized by itself")
    fails("8.4", lambda x, g, b: over(x, g, b, *range(x.ndim)), "the channels are mixed")
    fails("8.4", lambda x, g, b: over(x, g, b, x.ndim - 2), "not over positions alone")
    fails("8.4", lambda x, g, b: over(x, g, b, 0, 1), "the channels are mixed")  # of two dimensions

    def biased(x: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
        return F.batch_norm(x, None, None, gamma, beta, True, eps=1e-5)

    fails("8.4", biased, "over n - 1")
    ones, zeros = torch.ones(1), torch.zeros(1)
    fails("8.4", lambda x, g, b: batchnorm(x, ones, zeros), "gamma and beta are missing")


def test_dilated_layers_that_look_elsewhere() -> None:
    def joined(x: Tensor, W: Tensor, earlier: Tensor) -> Tensor:
        return torch.cat([earlier, x], dim=2) @ W

    def back(x: Tensor, d: int) -> Tensor:
        return F.pad(x, (0, 0, d, 0))[:, : x.shape[1]]

    fails(
        "8.5", lambda x, W, d: torch.cat([x, back(x, d)], 2) @ W, "the earlier position comes first"
    )
    fails("8.5", lambda x, W, d: joined(x, W, x.roll(d, 1)), "roll brings the end")
    fails("8.5", lambda x, W, d: joined(x, W, F.pad(x, (0, 0, 0, d))[:, d:]), "into the future")
    fails("8.5", lambda x, W, d: joined(x, W, back(x, 1)), "not always one")

    def repeated(x: Tensor, W: Tensor, d: int) -> Tensor:
        return joined(x, W, torch.cat([x[:, :1].expand(-1, d, -1), x[:, :-d]], 1))

    fails("8.5", repeated, "take zeros, not the first position")
    fails("8.5", lambda x, W, d: torch.cat([x[:, :-d], x[:, d:]], 2) @ W, "found shape")


def test_receptive_fields_counted_otherwise() -> None:
    fails("8.6", lambda layers: 1 + sum(w * d for w, d in layers), "not w")
    fails("8.6", lambda layers: sum(w * d for w, d in layers), "the position itself counts once")
    fails("8.6", lambda layers: receptive_field(layers) - 1, "the position itself")
    fails("8.6", lambda layers: 1 + sum(w - 1 for w, _ in layers), "dilations are missing")
    fails("8.6", lambda layers: 2 ** len(layers), "largest difference")
    fails("8.6", lambda layers: 1 + sum(d for _, d in layers), "width 2 is not the only one")
    fails("8.6", lambda layers: sum(w for w, _ in layers), "those in between")
