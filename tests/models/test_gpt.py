"""The modern GPT: a block against its formula, its first weights, tied embeddings."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from hornbook.errors import ConfigError
from hornbook.models.gpt import GPT
from hornbook.models.registry import build_model, model_config

SIZES = {"n_layer": 2, "n_head": 4, "n_kv_head": 2, "n_embd": 16, "n_hidden": 24}


def gpt(end_id: int | None = None, **fields: Any) -> GPT:
    torch.manual_seed(0)
    model = build_model(model_config({"name": "gpt", **SIZES, **fields}), 11, end_id)
    assert isinstance(model, GPT)
    return model.double().eval()


def test_heads_may_be_wider_than_their_share_of_the_channels() -> None:
    model = gpt(head_dim=6, n_head=3, n_kv_head=1)
    assert model.state_dict()["blocks.0.attention.q_proj.weight"].shape == (18, 16)
    assert model.state_dict()["blocks.0.attention.o_proj.weight"].shape == (16, 18)
    assert gpt(head_dim=4).config.head_channels == gpt().config.head_channels == 4


def test_without_qk_norm_the_length_of_a_query_matters() -> None:
    ids = torch.tensor([[1, 2, 3, 4]])
    for qk_norm in (True, False):
        model = randomized(gpt(qk_norm=qk_norm))
        assert any("q_norm" in name for name in model.state_dict()) == qk_norm
        before = model(ids)
        model.blocks[0].attention.q_proj.weight.data *= 3
        same = torch.allclose(before, model(ids), atol=1e-4)
        assert same == qk_norm


def randomized(model: GPT) -> GPT:
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return model


def test_it_is_the_formula_written_out() -> None:
    """Qwen3's, head by head: every head has its own loop here."""
    model, T, D = randomized(gpt()), 7, 4  # noqa: N806
    P = dict(model.named_parameters())  # noqa: N806
    ids = torch.randint(11, (T,))
    tril = torch.ones(T, T, dtype=torch.bool).tril()

    def norm(x: Tensor, name: str) -> Tensor:
        return x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt() * P[f"{name}.weight"]

    def turn(x: Tensor) -> Tensor:
        frequency = 10_000.0 ** (-torch.arange(0, D, 2) / D)
        angle = torch.arange(T)[:, None] * frequency
        turned = torch.complex(x[:, : D // 2], x[:, D // 2 :]) * torch.exp(1j * angle)
        return torch.cat([turned.real, turned.imag], -1).double()

    x = P["token_embedding.weight"][ids]
    for layer in range(2):
        block = f"blocks.{layer}"
        y, heads = norm(x, f"{block}.input_norm"), []
        for h in range(4):
            q_rows = slice(h * D, (h + 1) * D)
            kv_rows = slice(h // 2 * D, (h // 2 + 1) * D)  # two heads share keys and values
            q, k, v = (
                y @ P[f"{block}.attention.{part}_proj.weight"][rows].T
                for part, rows in (("q", q_rows), ("k", kv_rows), ("v", kv_rows))
            )
            q = turn(norm(q, f"{block}.attention.q_norm"))
            k = turn(norm(k, f"{block}.attention.k_norm"))
            weights = (q @ k.T / math.sqrt(D)).masked_fill(~tril, -math.inf).softmax(-1)
            heads.append(weights @ v)
        x = x + torch.cat(heads, -1) @ P[f"{block}.attention.o_proj.weight"].T
        y = norm(x, f"{block}.hidden_norm")
        gate, up = (y @ P[f"{block}.mlp.{part}_proj.weight"].T for part in ("gate", "up"))
        x = x + (F.silu(gate) * up) @ P[f"{block}.mlp.down_proj.weight"].T
    expected = norm(x, "norm") @ P["head.weight"].T
    torch.testing.assert_close(model(ids[None])[0], expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("extra", [{}, {"pair_embedding": True, "conv_kernel": 4}])
def test_the_first_logits_are_uniform(extra: dict[str, Any]) -> None:
    assert not gpt(**extra)(torch.randint(11, (2, 5))).any()


def test_a_tied_head_is_the_embedding() -> None:
    model = randomized(gpt(tie_embeddings=True))
    assert "head.weight" not in model.state_dict()
    assert model.output is model.token_embedding
    before = model(torch.tensor([[1, 2]]))
    model.token_embedding.weight.data[7] *= 2  # of a token that is not read
    after = model(torch.tensor([[1, 2]]))
    torch.testing.assert_close(after[..., 7], 2 * before[..., 7])


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"n_head": 3}, r"n_head: found 3, expected a divisor of model.n_embd \(16\)"),
        ({"n_kv_head": 3}, r"n_kv_head: found 3, expected a divisor of model.n_head \(4\)"),
        ({"n_head": 16, "n_kv_head": 16}, "n_embd / n_head must be even"),
        ({"head_dim": 5}, "head_dim must be even"),
    ],
)
def test_sizes_that_do_not_divide_are_refused(sizes: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        model_config({"name": "gpt", **SIZES, **sizes})
