"""Recurrent networks: packed documents and torch.nn's own stack."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hornbook.models.registry import build_model, model_config
from hornbook.models.rnn import RNN

NAMES = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


def network(name: str, end_id: int | None) -> RNN:
    torch.manual_seed(0)
    config = model_config({"name": name, "n_embd": 6, "n_hidden": 8, "n_layer": 2})
    model = build_model(config, 11, end_id)
    assert isinstance(model, RNN)
    model.head.weight.data.normal_()
    return model.double().eval()


@pytest.mark.parametrize("name", list(NAMES))
def test_two_layers_are_those_of_torch(name: str) -> None:
    model = network(name, None)
    theirs = NAMES[name](6, 8, num_layers=2, batch_first=True).double()
    with torch.no_grad():
        for i, layer in enumerate(model.layers):
            getattr(theirs, f"weight_ih_l{i}").copy_(layer.input.weight)
            getattr(theirs, f"weight_hh_l{i}").copy_(layer.state.weight)
            getattr(theirs, f"bias_ih_l{i}").copy_(layer.input.bias)
            getattr(theirs, f"bias_hh_l{i}").zero_()
    ids = torch.randint(11, (3, 20))
    expected = model.head(theirs(model.embedding(ids))[0])
    torch.testing.assert_close(model(ids), expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize("name", list(NAMES))
def test_the_state_begins_anew_with_each_document(name: str) -> None:
    model = network(name, 0)
    ids = torch.tensor([[0, 4, 5, 0, 0, 7, 1, 2]])
    alone = torch.cat([model(ids[:, a:b]) for a, b in ((0, 3), (3, 4), (4, 8))], dim=1)
    torch.testing.assert_close(model(ids), alone, atol=1e-12, rtol=0)


@pytest.mark.parametrize("name", list(NAMES))
def test_it_remembers_the_first_symbol_of_a_long_row(name: str) -> None:
    model = network(name, None)
    ids = torch.randint(11, (1, 30))
    changed = ids.clone()
    changed[0, 0] = (changed[0, 0] + 1) % 11
    assert (model(ids)[0, -1] - model(changed)[0, -1]).abs().max() > 0


def test_the_first_logits_are_uniform_and_the_forget_gate_is_open() -> None:
    model = build_model(model_config({"name": "lstm"}), 27, 0)
    assert not model(torch.randint(27, (2, 5))).any()
    bias = dict(model.named_parameters())["layers.0.input.bias"]
    assert bias.view(4, -1).sum(1).tolist() == [0, 128, 0, 0]


@pytest.mark.parametrize("name", list(NAMES))
def test_in_bf16_the_products_are_rounded_and_nothing_breaks(name: str) -> None:
    model = network(name, 0).float()
    ids = torch.randint(11, (2, 12))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = model(ids).float()
    rounded.sum().backward()
    torch.testing.assert_close(rounded, model(ids), atol=0.1, rtol=0.05)
