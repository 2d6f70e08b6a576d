from __future__ import annotations

import pytest
import torch

from hornbook.errors import RunError
from hornbook.pretrained.names import (
    GPT2,
    QWEN3,
    Table,
    from_gguf,
    from_huggingface,
    to_gguf,
    to_huggingface,
)
from tests.conftest import tiny_model

FORMS = {"gpt": QWEN3, "gpt2": GPT2}


def weights(model: str) -> dict[str, torch.Tensor]:
    """Those of a small model, as the tables have them."""
    found = tiny_model(model).state_dict()
    left_out = ("pair_embedding", "convolution", "head.bias")
    return {k: v for k, v in found.items() if not any(word in k for word in left_out)}


@pytest.mark.parametrize("table", [QWEN3, GPT2])
def test_no_name_is_in_a_table_twice(table: Table) -> None:
    for names in (
        [row.own for row in table],
        [row.huggingface for row in table],
        [row.gguf for row in table],
    ):
        assert len(set(names)) == len(table)


@pytest.mark.parametrize("model", FORMS)
def test_names_come_back_bit_for_bit_from_both(model: str) -> None:
    table, own = FORMS[model], weights(model)
    for there, back in ((to_huggingface, from_huggingface), (to_gguf, from_gguf)):
        again = back(table, there(table, own))
        assert list(again) == list(own)
        assert all(torch.equal(again[name], own[name]) for name in own)


def test_blocks_keep_their_numbers_and_linear_layers_of_gpt2_are_turned() -> None:
    there = to_huggingface(GPT2, weights("gpt2"))
    assert there["transformer.h.1.mlp.c_fc.weight"].shape == (16, 24)
    assert torch.equal(
        there["transformer.h.1.mlp.c_proj.weight"], weights("gpt2")["blocks.1.mlp.2.weight"].T
    )
    assert to_gguf(GPT2, weights("gpt2"))["blk.1.ffn_down.weight"].shape == (16, 24)


def test_a_name_that_no_row_has_is_an_error() -> None:
    with pytest.raises(RunError, match=r"blocks\.0\.convolution"):
        to_huggingface(QWEN3, {"blocks.0.convolution.weight": torch.zeros(1)})
