from __future__ import annotations

from typing import Any

import pytest
import torch

from hornbook.models.base import Window
from hornbook.models.registry import build_model, model_config
from tests.export.lesson.common import VOCAB_SIZE, assert_same_logits

SIZES = {"name": "gpt2", "context_length": 16, "n_layer": 2, "n_head": 2, "n_embd": 16}


def check(settings: dict[str, Any], end_id: int | None = 0, window: Window = "half") -> None:
    torch.manual_seed(0)
    model = build_model(model_config({**SIZES, **settings}), VOCAB_SIZE, end_id)
    with torch.no_grad():  # what begins as zeros would hide mistakes
        for parameter in model.parameters():
            parameter += 0.2 * torch.randn_like(parameter)
    assert_same_logits(model, window)


@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_its_logits_are_the_model_s(activation: str) -> None:
    check({"activation": activation})
    check({"activation": activation}, end_id=None, window="sliding")


def test_its_logits_are_those_of_openai_s_form() -> None:
    options = {"qkv_bias": True, "tie_embeddings": True, "n_hidden": 24, "norm_eps": 1e-3}
    check({"activation": "gelu_tanh", **options})
