"""The written-out cells against torch.nn's, and the fresh state of each document."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hornbook.layers.recurrent import CELLS, GRU, Recurrent

THEIRS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


def pair(name: str) -> tuple[Recurrent, nn.RNNBase]:
    ours = CELLS[name](5, 7).double()
    theirs = THEIRS[name](5, 7, batch_first=True).double()
    with torch.no_grad():
        ours.input.bias.normal_()
        theirs.weight_ih_l0.copy_(ours.input.weight)
        theirs.weight_hh_l0.copy_(ours.state.weight)
        theirs.bias_ih_l0.copy_(ours.input.bias)
        theirs.bias_hh_l0.zero_()
        if isinstance(ours, GRU):
            ours.candidate_bias.normal_()
            theirs.bias_hh_l0[-7:].copy_(ours.candidate_bias)
    return ours, theirs


@pytest.mark.parametrize("name", list(CELLS))
def test_cells_equal_those_of_torch(name: str) -> None:
    ours, theirs = pair(name)
    x = torch.randn(3, 11, 5, dtype=torch.float64, requires_grad=True)
    cotangent = torch.randn(3, 11, 7, dtype=torch.float64)
    out, (other, _) = ours(x, torch.ones(3, 11, dtype=torch.float64)), theirs(x)
    torch.testing.assert_close(out, other, atol=1e-12, rtol=0)
    mine = torch.autograd.grad(out, [x, ours.input.weight, ours.state.weight], cotangent)
    others = torch.autograd.grad(other, [x, theirs.weight_ih_l0, theirs.weight_hh_l0], cotangent)
    torch.testing.assert_close(mine, others, atol=1e-12, rtol=0)


@pytest.mark.parametrize("name", list(CELLS))
def test_a_state_that_is_not_kept_begins_anew(name: str) -> None:
    ours, theirs = pair(name)
    x = torch.randn(1, 9, 5, dtype=torch.float64)
    keep = torch.ones(1, 9, dtype=torch.float64)
    keep[0, 0] = keep[0, 4] = 0
    alone = torch.cat([theirs(x[:, :4])[0], theirs(x[:, 4:])[0]], dim=1)
    torch.testing.assert_close(ours(x, keep), alone, atol=1e-12, rtol=0)
