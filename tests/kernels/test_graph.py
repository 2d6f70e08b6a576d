"""Traced functions: the same operations for other tensors of the same shapes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from hornbook.kernels.graph import TRACE_ERRORS, Scripts, record, trace


def function(x: Tensor, into: Tensor) -> Tensor:
    y = torch.tanh(x @ x.T)
    into.add_(1)
    return y.sum(0) * 2


@pytest.mark.parametrize("how", [trace, record])
def test_other_values_give_their_own_results_and_writes_are_made(how: object) -> None:
    traced = how(function, torch.zeros(4, 3), torch.zeros(2))  # type: ignore[operator]
    x, into, expected = torch.randn(4, 3), torch.zeros(2), torch.zeros(2)
    assert torch.equal(traced(x, into), function(x, expected))
    assert torch.equal(into, expected)


def test_what_depends_on_values_cannot_be_traced() -> None:
    with pytest.raises(TRACE_ERRORS):
        trace(lambda x: x if x.sum() > 0 else -x, torch.ones(2))


def test_scripts_are_limited() -> None:
    scripts, x = Scripts(limit=1), torch.ones(2)
    graph = trace(torch.sin, x)
    scripts.script(graph, x)
    with pytest.raises(RuntimeError, match="1 graphs have been scripted"):
        scripts.script(graph, x)
