"""Losses equal torch's, with their gradients, and do not overflow."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from hornbook.autograd import Value, check, cross_entropy, hinge, squared_error

numbers = st.floats(-8, 8)


@given(st.lists(st.tuples(numbers, st.sampled_from([-1.0, 1.0])), min_size=1, max_size=6))
def test_losses_of_lists_equal_torch(pairs: list[tuple[float, float]]) -> None:
    targets = [y for _, y in pairs]
    for ours, theirs in (
        (squared_error, lambda x, y: ((x - y) ** 2).sum()),
        (hinge, lambda x, y: (1 - y * x).relu().mean()),
    ):
        scores = [Value(x) for x, _ in pairs]
        tensor = torch.tensor([x for x, _ in pairs], dtype=torch.float64, requires_grad=True)
        loss = ours(scores, targets)
        expected = theirs(tensor, torch.tensor(targets, dtype=torch.float64))
        loss.backward()
        expected.backward()
        assert loss.data == pytest.approx(expected.item(), rel=1e-12)
        assert [s.grad for s in scores] == pytest.approx(tensor.grad.tolist(), rel=1e-12)


@given(st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=6), st.data())
def test_cross_entropy_equals_torch_however_large_the_logits(numbers, data) -> None:
    target = data.draw(st.integers(0, len(numbers) - 1))
    logits = [Value(x) for x in numbers]
    loss = cross_entropy(logits, target)
    loss.backward()
    tensor = torch.tensor(numbers, dtype=torch.float64, requires_grad=True)
    expected = functional.cross_entropy(tensor, torch.tensor(target))
    expected.backward()
    assert loss.data == pytest.approx(expected.item(), rel=1e-12, abs=1e-12)
    assert [x.grad for x in logits] == pytest.approx(tensor.grad.tolist(), rel=1e-9, abs=1e-12)


def test_losses_have_the_right_gradients() -> None:
    check(lambda *x: cross_entropy(x, 1), 0.3, -1.2, 2.0)
    check(lambda a, b: hinge([a, b], [1, -1]), 0.3, -0.2)
    check(lambda a, b: squared_error([a, b], [1.0, b * 0.5]), 0.3, -0.2)


def test_losses_refuse_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match="hinge: 1 predictions for 2 targets"):
        hinge([Value(1.0)], [1, -1])
    with pytest.raises(ValueError, match="squared_error: 0 predictions for 0 targets"):
        squared_error([], [])
    for target in (-1, 2):
        with pytest.raises(ValueError, match=f"target={target}, expected an index from 0 to 1"):
            cross_entropy([Value(1.0), Value(2.0)], target)
