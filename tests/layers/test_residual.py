"""A branch added to the stream, with dropout of the branch alone."""

from __future__ import annotations

import torch

from hornbook.layers.residual import ResidualDropout


def test_the_branch_is_dropped_and_the_stream_is_not() -> None:
    torch.manual_seed(0)
    x, branch = torch.full((400, 500), 10.0), torch.ones(400, 500)
    out = ResidualDropout(0.2)(x, branch)
    dropped = out == 10
    assert torch.equal(out[~dropped], torch.full_like(out[~dropped], 11.25))
    assert abs(dropped.float().mean().item() - 0.2) < 0.01


def test_it_is_a_sum_in_evaluation_or_without_dropout() -> None:
    x, branch = torch.randn(2, 3, 4)
    assert torch.equal(ResidualDropout(0.5).eval()(x, branch), x + branch)
    assert torch.equal(ResidualDropout(0.0)(x, branch), x + branch)
