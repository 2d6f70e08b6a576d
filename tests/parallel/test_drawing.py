"""The first weights of sharded models: those of one process."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from hornbook.models.base import blocks_of
from hornbook.models.registry import MODELS, build_model, parse_run_config
from hornbook.parallel.drawing import draw_rows
from tests.conftest import TINY

BY_TENSOR = {  # the models that have blocks, in all forms of their first weights
    "gpt": {},
    "gpt tied": {"tie_embeddings": True, "pair_embedding": True, "conv_kernel": 3},
    "gpt2": {},
    "gpt2 tied": {"tie_embeddings": True},
}


def config_of(name: str, **more: Any) -> Any:
    fields = MODELS[name].config.model_fields
    sizes = {key: size for key, size in TINY.items() if key in fields}
    return parse_run_config({"model": {"name": name, **sizes, **more}}).model


@pytest.mark.parametrize("case", BY_TENSOR)
def test_the_rows_of_all_ranks_are_the_weights_of_one_process(case: str) -> None:
    config = config_of(case.split()[0], **BY_TENSOR[case])
    torch.manual_seed(3)
    whole = build_model(config, 7, 0)
    then = torch.get_rng_state()
    parts = []
    for index in range(3):
        torch.manual_seed(3)
        model, rows = draw_rows(config, 7, 0, index, 3)
        assert torch.equal(torch.get_rng_state(), then)
        assert all(p.is_meta and p.requires_grad for p in model.parameters())
        assert rows.keys() == dict(whole.named_parameters()).keys()
        parts.append(rows)
    for name, parameter in whole.named_parameters():
        assert torch.equal(torch.cat([rows[name] for rows in parts]), parameter), name


@pytest.mark.parametrize("name", [n for n, e in MODELS.items() if e.trained and n != "ngram"])
def test_every_model_is_drawn_alike_or_refused(name: str) -> None:
    """Never otherwise: a weight that is set in another way cannot be drawn so."""
    config = config_of(name)
    torch.manual_seed(3)
    whole = build_model(config, 7, 0)
    torch.manual_seed(3)
    try:
        _, rows = draw_rows(config, 7, 0, 0, 1)
    except NotImplementedError:
        return
    assert blocks_of(whole)
    for key, parameter in whole.named_parameters():
        assert torch.equal(rows[key], parameter), key
