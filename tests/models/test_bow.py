"""The bag of words: an average, which sees no order."""

from __future__ import annotations

import torch

from hornbook.layers.aggregation import average_loop
from hornbook.models.bow import Bow
from hornbook.models.registry import build_model, model_config


def bag(end_id: int | None) -> Bow:
    torch.manual_seed(0)
    model = build_model(model_config({"name": "bow", "n_embd": 6, "n_hidden": 8}), 11, end_id)
    assert isinstance(model, Bow)
    model.head.weight.data.normal_()
    return model.double().eval()


def test_it_is_version_1_of_attention_with_an_mlp_behind() -> None:
    model = bag(None)
    ids = torch.randint(11, (2, 9))
    x = model.token_embedding(ids) + model.position_embedding.weight[:9]
    x = x + average_loop(x)
    expected = model.head(x + model.mlp(x))
    torch.testing.assert_close(model(ids), expected, atol=1e-12, rtol=0)


def test_the_order_of_what_was_before_is_not_seen_but_its_symbols_and_number_are() -> None:
    model = bag(None)
    logits = model(torch.tensor([[3, 4, 5, 6]]))[0, -1]
    torch.testing.assert_close(model(torch.tensor([[5, 3, 4, 6]]))[0, -1], logits)
    for other in ([[3, 4, 6, 5]], [[3, 4, 4, 6]], [[3, 4, 5, 3, 4, 5, 6]]):
        assert (model(torch.tensor(other))[0, -1] - logits).abs().max() > 1e-3


def test_positions_and_averages_begin_anew_with_each_document() -> None:
    model = bag(0)
    ids = torch.tensor([[0, 4, 5, 0, 7, 1, 2]])
    alone = torch.cat([model(ids[:, :3]), model(ids[:, 3:])], dim=1)
    torch.testing.assert_close(model(ids), alone, atol=1e-12, rtol=0)
