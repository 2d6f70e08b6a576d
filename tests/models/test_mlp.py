"""The MLP: parameters, first weights, windows, BatchNorm in evaluation, calibration."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from hornbook.api import train
from hornbook.config import presets
from hornbook.errors import ConfigError
from hornbook.layers.activations import ACTIVATIONS, GAINS, Activation
from hornbook.layers.basic import BatchNorm1d, Linear
from hornbook.models.base import LanguageModel
from hornbook.models.registry import build_model, model_config
from hornbook.planning.request import read_request
from hornbook.planning.resolve import resolve


def mlp(**fields: Any) -> LanguageModel:
    torch.manual_seed(0)
    return build_model(model_config({"name": "mlp", **fields}), 27, 0)


@pytest.mark.parametrize(
    ("preset", "parameters"),
    [(presets.notes_mlp, 11_897), (presets.notes_mlp_bn, 12_097), (presets.notes_mlp_deep, 47_024)],
)
def test_the_notes_parameters(preset: Any, parameters: int) -> None:
    assert mlp(**preset()["model"]).n_parameters == parameters


@pytest.mark.parametrize(("norm", "biased"), [("none", True), ("layernorm", True),
                                              ("batchnorm", False)])  # fmt: skip
def test_only_batchnorm_makes_the_hidden_bias_useless(norm: str, biased: bool) -> None:
    *hidden, last = [m for m in mlp(n_layer=3, norm=norm).modules() if isinstance(m, Linear)]
    assert [layer.bias is not None for layer in hidden] == [biased] * 3
    assert last.bias is not None


def test_scaled_weights_begin_unsure_and_naive_ones_confidently_wrong() -> None:
    ids = torch.randint(27, (64, 12))
    targets = torch.randint(27, (64 * 12,))
    loss = {
        init: torch.nn.functional.cross_entropy(mlp(init=init)(ids).flatten(0, 1), targets).item()
        for init in ("scaled", "naive")
    }
    assert loss["scaled"] == pytest.approx(math.log(27), abs=0.05)
    assert loss["naive"] > 15  # the lecture's hockey stick began at 27


def test_the_gain_keeps_deep_layers_alive_and_naive_ones_saturate() -> None:
    def spread(**fields: Any) -> tuple[float, float]:
        model = mlp(n_layer=5, n_hidden=100, **fields).eval()
        seen: list[torch.Tensor] = []
        for m in model.modules():
            if type(m).__name__ == "Tanh":
                m.register_forward_hook(lambda _m, _i, out: seen.append(out))
        model(torch.randint(27, (50, 10)))
        return seen[-1].std().item(), (seen[-1].abs() > 0.97).float().mean().item()

    std, saturated = spread(init="scaled")
    assert 0.55 < std < 0.75  # the notes' plot: about 0.65 in every layer
    assert saturated < 0.1
    assert spread(init="naive")[1] > 0.7


def test_gains_are_those_of_torch_or_keep_the_second_moment_of_a_normal() -> None:
    z = torch.linspace(-12, 12, 200_001, dtype=torch.float64)
    density = torch.exp(-z.square() / 2) / math.sqrt(2 * math.pi) * (z[1] - z[0])
    for name in ("tanh", "relu", "leaky_relu", "selu"):
        assert GAINS[name] == torch.nn.init.calculate_gain(name)
    for name in ("elu", "gelu"):
        moment = (ACTIVATIONS[name]()(z).square() * density).sum().item()
        assert GAINS[name] == pytest.approx(moment**-0.5, rel=1e-4)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_gain_follows_the_activation_and_keeps_five_layers_of_it_alive(
    activation: Activation,
) -> None:
    model = mlp(activation=activation, n_layer=5, n_hidden=100).eval()
    seen: list[torch.Tensor] = []
    for module in model.modules():
        if isinstance(module, type(ACTIVATIONS[activation]())):
            module.register_forward_hook(lambda _m, _i, out: seen.append(out))
    model(torch.randint(27, (50, 10)))
    assert len(seen) == 5
    assert all(0.35 < out.square().mean().sqrt() < 1.8 for out in seen)
    hidden = [m for m in model.modules() if isinstance(m, Linear)][1]
    assert hidden.weight.std().item() * 10 == pytest.approx(GAINS[activation], rel=0.04)
    own = mlp(activation=activation, gain=0.5, n_layer=2, n_hidden=100)
    hidden = [m for m in own.modules() if isinstance(m, Linear)][1]
    assert hidden.weight.std().item() * 10 == pytest.approx(0.5, rel=0.04)


def test_settings_from_before_there_were_activations_are_those_of_tanh() -> None:
    before = model_config({"name": "mlp", "gain": 5 / 3})
    assert before.activation == "tanh"
    torch.manual_seed(0)
    old, new = build_model(before, 27, 0).state_dict(), mlp().state_dict()
    for (name, a), (other, b) in zip(old.items(), new.items(), strict=True):
        assert name == other
        assert torch.equal(a, b)


def test_evaluation_uses_the_running_statistics_and_one_row_is_enough() -> None:
    model = mlp(norm="batchnorm")
    ids = torch.randint(27, (32, 3))
    for _ in range(20):
        model.next_logits(ids)
    model.eval()
    alone = torch.cat([model.next_logits(row[None]) for row in ids])
    torch.testing.assert_close(alone, model.next_logits(ids))


def test_a_norm_of_the_logits_needs_a_norm() -> None:
    with pytest.raises(ConfigError, match="norm_logits needs a norm"):
        model_config({"name": "mlp", "norm_logits": True})


SMALL = {
    "model": {"name": "mlp", "context_length": 4, "n_embd": 4, "n_hidden": 12, "n_layer": 2},
    "optim": {"learning_rate": 0.01},
    "training": {"steps": 20, "batch_size": 64, "eval_count": 2, "sample_count": 0},
}


@pytest.mark.parametrize("statistics", ["running", "calibrated"])
def test_calibrated_statistics_are_those_of_the_training_part(
    tmp_path: Path, statistics: str
) -> None:
    norm = {"norm": "batchnorm", "statistics": statistics}
    settings = {**SMALL, "model": {**SMALL["model"], **norm}}
    run = train("names", settings=settings, out=tmp_path / "run", precision="fp32")
    plan = resolve(read_request("names", settings=settings))
    every = torch.cat(list(plan.training_windows()))
    assert every.shape == (plan.data.train.n_targets, 4)
    embedding, flatten, first, norm1 = list(run.model.modules())[2:][1:5]
    assert isinstance(norm1, BatchNorm1d)
    before = first(flatten(embedding(every))).double()
    far = (norm1.running_mean - before.mean(0)).abs().max() / before.std()
    far_var = (norm1.running_var / before.var(0) - 1).abs().max()
    if statistics == "calibrated":
        assert far < 1e-5
        assert far_var < 1e-5
    else:  # after 20 steps of a tenth each the first values still count
        assert far_var > 0.01
