"""LoRA's layers: they begin as they were, train two small matrices, and merge into one."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hornbook.layers.lora import LoRALinear, adapt, lora_weights, merged_weights


def made(*, bias: bool = True) -> tuple[nn.Linear, LoRALinear]:
    torch.manual_seed(1)
    linear = nn.Linear(6, 10, bias=bias)
    return linear, LoRALinear(linear, 2, 3.0)


@pytest.mark.parametrize("bias", [True, False])
def test_a_layer_begins_as_it_was_and_takes_its_weights_over(bias: bool) -> None:
    linear, layer = made(bias=bias)
    x = torch.randn(4, 6)
    assert torch.equal(layer(x), linear(x))
    assert layer.weight is linear.weight
    assert layer.bias is linear.bias


def test_two_small_matrices_alone_are_trained() -> None:
    _, layer = made()
    trained = {name: p.shape for name, p in layer.named_parameters() if p.requires_grad}
    assert trained == {"lora_A": (2, 6), "lora_B": (10, 2)}


def test_the_output_and_the_merged_matrix_are_those_of_the_definition() -> None:
    linear, layer = made()
    nn.init.normal_(layer.lora_B)
    x = torch.randn(4, 6)
    expected = linear(x) + 3.0 * x @ layer.lora_A.T @ layer.lora_B.T
    torch.testing.assert_close(layer(x), expected)
    merged = nn.functional.linear(x, layer.merged(), layer.bias)
    torch.testing.assert_close(merged, expected)


def test_the_weights_of_a_model_are_merged_under_its_own_names() -> None:
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
    before = {name: t.clone() for name, t in model.state_dict().items()}
    adapt(model, ["2"], 1, 2.0)
    assert [name for name, p in model.named_parameters() if p.requires_grad] == [
        "2.lora_A",
        "2.lora_B",
    ]
    assert merged_weights(model).keys() == before.keys()
    assert all(torch.equal(t, before[name]) for name, t in merged_weights(model).items())
    (name,) = lora_weights(model)
    nn.init.ones_(model[2].lora_B)
    changed = [n for n, t in merged_weights(model).items() if not torch.equal(t, before[n])]
    assert (name, changed) == ("2", ["2.weight"])
