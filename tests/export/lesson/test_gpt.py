from __future__ import annotations

from typing import Any

import pytest
import torch

from hornbook.models.base import Window
from hornbook.models.registry import build_model, model_config
from tests.export.lesson.common import VOCAB_SIZE, assert_same_logits

SIZES = {
    "name": "gpt", "context_length": 16, "n_layer": 2, "n_head": 4, "n_kv_head": 2, "n_embd": 16,
    "n_hidden": 24,
}  # fmt: skip


def check(settings: dict[str, Any], end_id: int | None = 0, window: Window = "half") -> None:
    torch.manual_seed(0)
    model = build_model(model_config({**SIZES, **settings}), VOCAB_SIZE, end_id)
    with torch.no_grad():  # what begins as zeros would hide mistakes
        for parameter in model.parameters():
            parameter += 0.2 * torch.randn_like(parameter)
    assert_same_logits(model, window)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"n_kv_head": 4, "tie_embeddings": True, "rope_base": 1e6, "norm_eps": 1e-5},
        {"n_kv_head": 1, "pair_embedding": True, "conv_kernel": 4},
        {"qk_norm": False, "head_dim": 6},
    ],
)
def test_its_logits_are_the_model_s(settings: dict[str, Any]) -> None:
    check(settings)
    check(settings, end_id=None)


def test_it_reads_the_whole_window_again_where_the_run_does() -> None:
    check({"pair_embedding": True, "conv_kernel": 3}, window="sliding")
    check({"context_length": 1}, window="half")
