"""Probes against the notes' statistics computed by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from hornbook.layers.activations import ACTIVATIONS
from hornbook.layers.basic import Linear
from hornbook.metrics.probes import (
    ELEMENTS,
    OUTPUTS,
    WIDE,
    Distribution,
    LayerStatistics,
    Probe,
    is_flat,
    matrices,
    subsample,
    unit_layers,
)
from hornbook.models.base import LanguageModel
from hornbook.models.registry import build_model, model_config
from tests.conftest import tiny_model


def deep_mlp(init: str = "scaled", norm: str = "batchnorm") -> LanguageModel:
    """The notes' deep network: 5 hidden layers of 100 tanh, BatchNorm after every product."""
    settings = {"name": "mlp", "n_layer": 5, "n_hidden": 100, "norm": norm, "init": init}
    torch.manual_seed(3)
    return build_model(
        model_config({**settings, "norm_logits": norm != "none"}), vocab_size=27, end_id=0
    )


def by_hand(
    model: LanguageModel, ids: Tensor, targets: Tensor
) -> tuple[list[Tensor], list[Tensor], dict[str, Tensor]]:
    """The notes' loop over the same weights: tanh outputs, their gradients, parameter gradients."""
    w = {name: p.detach().clone().requires_grad_() for name, p in model.named_parameters()}
    x = w["net.layers.0.weight"][ids].flatten(1)
    tanhs, layer = [], 2
    while f"net.layers.{layer}.weight" in w:
        x = x @ w[f"net.layers.{layer}.weight"]
        gamma, beta = w[f"net.layers.{layer + 1}.gamma"], w[f"net.layers.{layer + 1}.beta"]
        x = gamma * (x - x.mean(0)) / torch.sqrt(x.var(0) + 1e-5) + beta
        layer += 2
        if f"net.layers.{layer + 1}.weight" in w:
            x = torch.tanh(x)
            x.retain_grad()
            tanhs.append(x)
            layer += 1
    F.cross_entropy(x, targets).backward()
    gradients = [t.grad for t in tanhs if t.grad is not None]
    return tanhs, gradients, {name: p.grad for name, p in w.items() if p.grad is not None}


def test_the_statistics_of_the_notes_deep_mlp_are_those_by_hand() -> None:
    model = deep_mlp().train()
    ids, targets = torch.randint(1, 27, (32, 3)), torch.randint(27, (32,))
    tanhs, gradients, grads = by_hand(model, ids, targets)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    rate = 0.1
    with Probe(model) as probe:
        F.cross_entropy(model.next_logits(ids), targets).backward()
        with torch.no_grad():
            for p in model.parameters():
                p -= rate * p.grad
    assert len(tanhs) == len(probe.activations) == 5
    for t, g, units, spread in zip(
        tanhs, gradients, probe.activations.values(), probe.gradients.values(), strict=True
    ):
        assert units.outputs.mean == pytest.approx(t.mean().item(), abs=1e-5)
        assert units.outputs.std == pytest.approx(t.std().item(), rel=1e-4)
        assert units.saturated == pytest.approx((t.abs() > 0.97).float().mean().item(), abs=1e-3)
        assert spread.std == pytest.approx(g.std().item(), rel=1e-3)
        assert sum(units.outputs.counts) == t.numel()
    names = [name for name, p in model.named_parameters() if p.ndim == 2]
    assert list(probe.parameters) == names
    for name in names:
        grad, seen = grads[name], probe.parameters[name]
        after = before[name] - rate * grad
        assert seen.grad_ratio == pytest.approx((grad.std() / after.std()).item(), rel=1e-3)
        update = ((rate * grad).std() / after.std()).log10().item()
        assert math.log10(seen.update_ratio) == pytest.approx(update, abs=2e-3)


def test_every_model_is_watched_and_left_as_it_was(model_name: str) -> None:
    model = tiny_model(model_name)
    ids = torch.randint(12, (3, 8))
    expected = model(ids)
    hooks = [len(m._forward_hooks) for m in model.modules()]
    with Probe(model) as probe:
        logits = model(ids)
        if not model.fitted:
            logits.square().mean().backward()
    torch.testing.assert_close(logits, expected, atol=0, rtol=0)
    assert [len(m._forward_hooks) for m in model.modules()] == hooks
    assert set(probe.activations) == {name for name, _ in unit_layers(model)}
    assert set(probe.parameters) == {name for name, _ in matrices(model)}


def test_a_probe_keeps_no_tensor_and_thins_what_is_large() -> None:
    large = torch.nn.Parameter(torch.randn(1100, 1000))
    assert len(subsample(large)) <= ELEMENTS
    assert float(subsample(large).std()) == pytest.approx(1.0, abs=0.02)
    model = deep_mlp().train()
    with Probe(model) as probe:
        model.next_logits(torch.randint(27, (4096, 3))).sum().backward()
    assert not probe._before
    assert len(repr(probe.record())) < 20_000


class NewStorage(TorchDispatchMode):
    """The largest tensor that is made, in elements; views make none."""

    largest = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        known = {a.untyped_storage().data_ptr() for a in args if isinstance(a, Tensor)}
        if isinstance(out, Tensor) and out.untyped_storage().data_ptr() not in known:
            self.largest = max(self.largest, out.numel())
        return out


def test_a_large_activation_is_not_copied_to_be_looked_at() -> None:
    relu = torch.nn.ReLU()
    output = torch.rand(512, 64, 256) + 0.01  # 8 million values
    output[..., :64] = 0
    with NewStorage() as made:
        units = LayerStatistics.of(relu, output)
    assert made.largest <= OUTPUTS
    assert units.dead == 0.25
    assert units.saturated == pytest.approx(0.25, abs=1e-3)
    assert units.outputs.mean == pytest.approx(output[:64].mean().item(), rel=0.01)


def test_gradients_are_counted_over_what_is_drawn() -> None:
    x = torch.randn(10_000)
    x[0] = 1000.0  # alone in the last of 50 bins over the whole range
    wide = Distribution.of(x, WIDE)
    assert wide.high == pytest.approx(WIDE * wide.std)
    x[0] = 12.0
    spread = Distribution.of(x, WIDE)
    assert sum(count > 0 for count in spread.counts) >= 35
    assert sum(spread.counts) >= 9_998


def test_flat_is_where_a_slope_is_nearly_0_for_every_activation() -> None:
    z = torch.linspace(-8, 8, 161)
    for name, build in ACTIVATIONS.items():
        module, x = build(), z.clone().requires_grad_()
        y = module(x)
        y.sum().backward()
        assert x.grad is not None
        steep = x.grad.abs() > 0.5
        assert not (is_flat(module, y.detach()) & steep).any(), name
        far = is_flat(module, y.detach())[:10]
        assert far.all(), name  # at -8 to -7
    model = build_model(model_config({"name": "mlp", "activation": "selu", "n_layer": 2}), 27, 0)
    assert len(list(unit_layers(model))) == 2


def test_a_relu_that_no_example_reaches_is_dead_and_a_leaky_one_is_not() -> None:
    for activation, dead in (("relu", 0.05), ("leaky_relu", 0.0)):
        torch.manual_seed(0)
        settings = {"name": "mlp", "activation": activation, "n_hidden": 40}
        model = build_model(model_config(settings), 27, 0)
        hidden = next(m for m in model.modules() if isinstance(m, Linear))
        assert hidden.bias is not None
        with torch.no_grad():
            hidden.bias[:2] = -100.0
        with Probe(model) as probe:
            model.next_logits(torch.randint(27, (400, 3)))
        (layer,) = probe.activations.values()
        assert layer.dead == pytest.approx(dead, abs=0.001)
        assert layer.saturated > 0.3
        assert layer.flat_where == "below 0"
