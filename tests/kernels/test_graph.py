"""Traced functions: the same operations for other tensors of the same shapes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from hornbook.kernels.graph import TRACE_ERRORS, Scripts, trace


def function(x: Tensor, into: Tensor) -> Tensor:
    y = torch.tanh(x @ x.T)
    into.add_(1)
    return y.sum(0) * 2


@pytest.mark.parametrize("scripted", [False, True])
def test_other_values_give_their_own_results_and_writes_are_made(scripted: bool) -> None:
    examples = torch.zeros(4, 3), torch.zeros(2)
    graph = trace(function, *examples)
    traced = Scripts().script(graph, *examples) if scripted else graph
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
