"""The bigram: rows of a table, whose gradient counts pairs exactly."""

from __future__ import annotations

import torch

from hornbook.models.bigram import Bigram, BigramConfig


def test_logits_are_rows_of_the_table() -> None:
    model = Bigram(BigramConfig(), 7, None)
    ids = torch.randint(7, (3, 2000))  # more than one chunk
    assert torch.equal(model(ids), model.weight[ids])


def test_the_gradient_of_many_rows_is_summed_exactly_enough() -> None:
    """Added one by one in float32, half a million equal terms would be off by 0.4%."""
    model = Bigram(BigramConfig(), 2, None)
    model(torch.zeros(1, 500_000, dtype=torch.int64)).mul(0.1).sum().backward()
    assert model.weight.grad is not None
    torch.testing.assert_close(model.weight.grad[0], torch.full((2,), 50_000.0), rtol=1e-4, atol=0)
