"""Kernels are installed and removed without a trace, and compute what the textbook computes."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from hornbook.kernels.install import CPU_KERNELS, TEXTBOOK, install, uninstall
from hornbook.metrics.loss import batch_loss
from hornbook.models.base import LanguageModel
from hornbook.models.registry import MODELS
from tests.conftest import tiny_model

VOCAB = 12


def classes(model: nn.Module) -> list[type[nn.Module]]:
    return [type(m) for m in model.modules()]


def gradients(model: LanguageModel, ids: Tensor) -> list[Tensor]:
    """Loss and gradients of a batch."""
    model.zero_grad()
    loss = batch_loss(model.train(), ids[:, :-1], ids[:, 1:])
    loss.backward()
    return [loss.detach(), *(p.grad for p in model.parameters() if p.grad is not None)]


@pytest.mark.parametrize("end_id", [0, None])
def test_loss_and_gradients_are_the_textbooks(model_name: str, end_id: int | None) -> None:
    model = tiny_model(model_name, VOCAB, end_id).double()
    if model.fitted or not MODELS[model_name].trained:
        pytest.skip("not trained by gradients")
    fast = copy.deepcopy(model)
    install(fast)
    ids = torch.randint(VOCAB, (4, 17))
    torch.testing.assert_close(gradients(fast, ids), gradients(model, ids), atol=1e-10, rtol=1e-8)
    found, expected = fast.eval()(ids[:, :16]), model.eval()(ids[:, :16])
    torch.testing.assert_close(found, expected, atol=1e-10, rtol=1e-8)


def test_only_classes_change_and_change_back(model_name: str) -> None:
    model = tiny_model(model_name, VOCAB)
    before, weights = classes(model), dict(model.state_dict())
    seen: list[nn.Module] = []
    for module in model.modules():
        module.register_forward_hook(lambda m, *_: seen.append(m))
    install(model)
    assert classes(model) == [CPU_KERNELS.get(c, c) for c in before]
    assert all(isinstance(m, c) for m, c in zip(model.modules(), before, strict=True))
    assert {n: id(t) for n, t in weights.items()}.keys() == model.state_dict().keys()
    assert all(torch.equal(weights[n], t) for n, t in model.state_dict().items())
    assert classes(copy.deepcopy(model)) == classes(model)
    model(torch.randint(VOCAB, (2, 8)))
    assert any(type(m) in TEXTBOOK for m in seen) == any(
        type(m) in TEXTBOOK for m in model.modules()
    )
    uninstall(model)
    assert classes(model) == before


def test_other_devices_keep_the_textbook() -> None:
    model = tiny_model("gpt").to("meta")
    before = classes(model)
    install(model)
    assert classes(model) == before


def test_dropout_draws_other_masks_of_the_same_share() -> None:
    model = tiny_model("gpt2", VOCAB)
    for module in model.modules():
        if hasattr(module, "p"):
            module.p = 0.3
    ids = torch.randint(1, VOCAB, (256, 9))
    torch.manual_seed(0)
    textbook = gradients(model, ids)[0]
    install(model)
    fast = gradients(model, ids)[0]
    assert fast != textbook
    torch.testing.assert_close(fast, textbook, atol=0.1, rtol=0)
