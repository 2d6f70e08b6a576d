"""Activation checkpointing changes memory and time, and no number."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from hornbook.kernels.checkpointing import Recomputed, install_checkpointing
from hornbook.kernels.install import install
from hornbook.metrics.loss import batch_loss
from hornbook.models.base import LanguageModel, blocks_of
from tests.conftest import tiny_model


def gradients(model: LanguageModel) -> list[torch.Tensor]:
    torch.manual_seed(3)
    ids = torch.randint(12, (4, 16))
    batch_loss(model, ids, ids.roll(-1, 1)).backward()
    return [p.grad for p in model.parameters() if p.grad is not None]


def kept(model: LanguageModel) -> int:
    """Bytes that a forward pass keeps for the backward pass."""
    seen: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        seen[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    ids = torch.randint(12, (64, 16))
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = batch_loss(model, ids, ids)
    del loss
    return sum(seen.values())


@pytest.mark.parametrize("kernels", [False, True])
@pytest.mark.parametrize("name", ["gpt", "gpt2", "hybrid"])
def test_gradients_are_the_same_bit_for_bit(name: str, kernels: bool) -> None:
    """With dropout, whose masks are drawn again."""
    plain = tiny_model(name).train()
    for module in plain.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.2
    if kernels:
        install(plain)
    recomputed = copy.deepcopy(plain)
    install_checkpointing(recomputed)
    pairs = zip(gradients(plain), gradients(recomputed), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_less_is_kept() -> None:
    plain = tiny_model("gpt").train()
    recomputed = copy.deepcopy(plain)
    install_checkpointing(recomputed)
    assert kept(recomputed) < 0.6 * kept(plain)


def test_a_copy_and_weights_are_as_before() -> None:
    model = tiny_model("gpt")
    names = list(model.state_dict())
    install_checkpointing(model)
    install_checkpointing(model)  # once is enough
    assert list(model.state_dict()) == names
    assert all(isinstance(block, Recomputed) for block in blocks_of(copy.deepcopy(model)))
    ids = torch.arange(6)[None]
    assert torch.equal(model(ids), tiny_model("gpt")(ids))


def test_blocks_are_those_that_are_computed_one_by_one() -> None:
    assert len(blocks_of(tiny_model("gpt"))) == 2
    assert len(blocks_of(tiny_model("hybrid"))) == 2
    assert blocks_of(tiny_model("mlp")) == []
