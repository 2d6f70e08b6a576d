"""The loss that is trained on, also as a function of weights."""

from __future__ import annotations

import pytest
import torch

from hornbook.engine.loss import FunctionalLoss, l2_penalty
from hornbook.metrics.loss import batch_loss
from tests.conftest import tiny_model
from tests.engine.small import GPT, MLP, parts_of


def test_the_penalty_is_that_of_the_notes() -> None:
    """0.01 * (W**2).mean(), of every matrix and of nothing else."""
    model = tiny_model("gpt")
    expected = sum((w**2).mean() for w in model.parameters() if w.ndim > 1)
    torch.testing.assert_close(l2_penalty(model, 0.01), 0.01 * torch.as_tensor(expected))


@pytest.mark.parametrize("settings", [GPT, MLP], ids=["gpt", "mlp"])
@pytest.mark.parametrize("l2", [0.0, 0.3])
def test_the_loss_of_given_weights_is_the_model_s_with_them(settings: object, l2: float) -> None:
    model, batches, _ = parts_of(settings)  # type: ignore[arg-type]
    ids, targets = batches.batch(0)
    buffers = [b.detach().clone() for b in model.buffers()]
    given = [(p.detach() + 0.1).requires_grad_() for p in model.parameters()]
    functional = FunctionalLoss(model, l2)
    loss, moved = functional.with_values(given, buffers, ids, targets)
    gradients = torch.autograd.grad(loss, given)
    # what is given and the model's own buffers are left as they were
    assert all(torch.equal(b, own) for b, own in zip(buffers, model.buffers(), strict=True))

    with torch.no_grad():
        for parameter, value in zip(model.parameters(), given, strict=True):
            parameter.copy_(value)
    expected = batch_loss(model, ids, targets) + (l2_penalty(model, l2) if l2 else 0.0)
    expected.backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(loss, expected)
    for parameter, gradient in zip(model.parameters(), gradients, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)
    for found, own in zip(moved, model.buffers(), strict=True):
        torch.testing.assert_close(found, own)
    if settings is MLP:
        assert any(not torch.equal(a, b) for a, b in zip(moved, buffers, strict=True))
