"""The notes' GPT: its size, its first weights, its positions. Its formula: test_textbook.py."""

from __future__ import annotations

import math

import pytest
import torch

from hornbook.config import presets
from hornbook.models.registry import build_model, build_on_meta, model_config
from tests.conftest import tiny_model


def test_the_notes_parameters() -> None:
    config = model_config(presets.notes_gpt()["model"])
    assert build_on_meta(config, 65, None).n_parameters == 10_788_929


@pytest.mark.parametrize(("head_std", "above"), [(0.01, 0.05), (0.02, 0.15)])
def test_it_begins_near_the_uniform_baseline(head_std: float, above: float) -> None:
    torch.manual_seed(0)
    sizes = {"n_layer": 2, "n_embd": 384, "head_std": head_std}
    model = build_model(model_config({"name": "gpt2", **sizes}), 65, None).eval()
    ids, targets = torch.randint(65, (2, 4, 32))
    loss = torch.nn.functional.cross_entropy(model(ids).flatten(0, 1), targets.flatten())
    assert loss.item() == pytest.approx(math.log(65), abs=above)


def test_a_tied_head_is_the_embedding_without_a_bias() -> None:
    torch.manual_seed(0)
    sizes = {"n_layer": 1, "n_head": 2, "n_embd": 8, "context_length": 8}
    tied = build_model(model_config({"name": "gpt2", "tie_embeddings": True, **sizes}), 12, None)
    assert tied.output is tied.token_embedding
    plain = build_model(model_config({"name": "gpt2", **sizes}), 12, None)
    weights = tied.state_dict()
    head = {"head.weight": weights["token_embedding.weight"], "head.bias": torch.zeros(12)}
    plain.load_weights(weights | head)
    ids = torch.tensor([[3, 1, 4]])
    torch.testing.assert_close(tied.eval()(ids), plain.eval()(ids))


def test_positions_begin_anew_with_each_document() -> None:
    model = tiny_model("gpt2", 12, 0)
    ids = torch.tensor([[0, 4, 5, 0, 4, 5]])
    logits = model(ids)
    torch.testing.assert_close(logits[:, 3:], logits[:, :3])
