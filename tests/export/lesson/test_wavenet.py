from __future__ import annotations

from typing import Any

import pytest
import torch

from hornbook.models.base import Window
from hornbook.models.registry import build_model, model_config
from tests.export.lesson.common import VOCAB_SIZE, assert_same_logits

SIZES = {"name": "wavenet", "n_hidden": 20}


def check(settings: dict[str, Any], end_id: int | None = 0, window: Window = "half") -> None:
    torch.manual_seed(0)
    model = build_model(model_config({**SIZES, **settings}), VOCAB_SIZE, end_id)
    with torch.no_grad():  # what begins as zeros would hide mistakes
        for parameter in model.parameters():
            parameter += 0.2 * torch.randn_like(parameter)
        for name, buffer in model.named_buffers():
            if "running" in name:
                buffer.copy_(torch.rand_like(buffer) + 0.5)
    assert_same_logits(model, window)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"norm": "layernorm", "residual": True, "context_length": 16},
        {"norm": "none", "dropout": 0.1, "context_length": 2},
    ],
)
def test_its_logits_are_the_model_s(settings: dict[str, Any]) -> None:
    check(settings)
    check(settings, end_id=None)
