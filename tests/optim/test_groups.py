"""Which parameters are decayed, and by which optimizer they are updated."""

from __future__ import annotations

import pytest
import torch

from hornbook.config import OptimConfig
from hornbook.optim import build_optimizer
from hornbook.optim.descent import GradientDescent
from hornbook.optim.muon import Muon
from tests.conftest import tiny_model


def decay_of(config: OptimConfig) -> dict[str, float]:
    """The weight decay of each parameter of a small GPT."""
    model = tiny_model("gpt2")
    optimizer = build_optimizer(model, config, model.output)
    names = {id(p): name for name, p in model.named_parameters()}
    groups = optimizer.param_groups
    found = {names[id(p)]: g["weight_decay"] for g in groups for p in g["params"]}
    assert found.keys() == set(names.values())
    return found


@pytest.mark.parametrize("name", ["adamw", "muon"])
def test_matrices_are_decayed_and_embeddings_norms_and_biases_are_not(name: str) -> None:
    for parameter, decay in decay_of(OptimConfig(name=name, weight_decay=0.1)).items():
        is_matrix = parameter.endswith("weight") and not any(
            part in parameter for part in ("embedding", "ln")
        )
        assert decay == (0.1 if is_matrix else 0), parameter


def test_all_are_decayed_if_requested() -> None:
    config = OptimConfig(name="adamw", weight_decay=0.1, decayed="all")
    assert set(decay_of(config).values()) == {0.1}


def test_the_name_decides_the_optimizer() -> None:
    model = tiny_model("gpt2")
    for name, kind in (("sgd", GradientDescent), ("muon", Muon), ("adamw", torch.optim.AdamW)):
        assert type(build_optimizer(model, OptimConfig(name=name), model.output)) is kind
