"""The contract's own parts: weights by name, the state of decoding."""

from __future__ import annotations

import pytest
import torch

from hornbook.errors import RunError
from hornbook.models.base import DecodingState, check_names
from tests.conftest import tiny_model


def test_names_that_are_missing_or_unknown_are_named() -> None:
    check_names({"a", "b"}, ["b", "a"])
    with pytest.raises(RunError, match="found no 'b', expected one"):
        check_names({"a", "b"}, {"a"})
    with pytest.raises(RunError, match="found 'c', expected no such name"):
        check_names({"a"}, {"a", "c"})


def test_a_weight_of_another_shape_is_named_with_both_shapes() -> None:
    model = tiny_model("bigram", 5)
    with pytest.raises(RunError, match=r"weight: found \(4, 4\) .*, expected \(5, 5\)"):
        model.check_weights({"weight": torch.zeros(4, 4)})


def test_a_state_does_not_touch_the_ids_of_its_caller() -> None:
    ids = torch.tensor([[1, 2], [3, 4]])
    state = DecodingState(ids, [torch.tensor([10.0, 20.0])])
    state.append(torch.tensor([5, 6]))
    state.select(torch.tensor([1, 1, 0]))
    assert state.ids.tolist() == [[3, 4, 6], [3, 4, 6], [1, 2, 5]]
    assert state.cache[0].tolist() == [20, 20, 10]
    assert ids.tolist() == [[1, 2], [3, 4]]


def test_positions_continue_those_in_the_cache() -> None:
    state = DecodingState(torch.zeros(1, 4, dtype=torch.int64), length=4)
    assert state.positions(2).tolist() == [4, 5]
