from __future__ import annotations

from typing import Any

import pytest
import torch

from hornbook.models.registry import build_model, model_config
from tests.export.lesson.common import VOCAB_SIZE, assert_same_logits


@pytest.mark.parametrize("end_id", [0, None])
@pytest.mark.parametrize(
    "settings", [{"order": 1}, {"order": 4}, {"order": 3, "smoothing": "add-k", "k": 0.5}]
)
def test_its_logits_are_the_model_s(settings: dict[str, Any], end_id: int | None) -> None:
    torch.manual_seed(0)
    model = build_model(model_config({"name": "ngram", **settings}), VOCAB_SIZE, end_id)
    assert_same_logits(model)  # not fitted: uniform
    tokens = torch.randint(1, VOCAB_SIZE, (601,))
    starts = torch.arange(0, 601, 6) if end_id is not None else torch.tensor([0, 600])
    if end_id is not None:
        tokens[starts] = end_id
    model.fit(tokens, starts)
    assert_same_logits(model)
