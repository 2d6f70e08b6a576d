from __future__ import annotations

from typing import Any

import pytest
import torch

from hornbook.errors import RunError
from hornbook.pretrained.forms import (
    GPT2_FORM,
    LLAMA_FORM,
    QWEN3_FORM,
    form_of,
    from_gguf,
    from_huggingface,
    neighbors,
    reorder_heads,
)
from tests.conftest import tiny_model


def test_the_form_of_a_model() -> None:
    gpt = tiny_model("gpt").config
    assert form_of(gpt) is QWEN3_FORM
    assert form_of(gpt.model_copy(update={"qk_norm": False})) is LLAMA_FORM
    assert form_of(tiny_model("gpt2").config) is GPT2_FORM
    assert form_of(tiny_model("bigram").config) is None


def test_llama_cpp_rotates_neighbors() -> None:
    rows = torch.arange(8.0)[:, None]  # two heads of 4
    assert neighbors(rows, 2).flatten().tolist() == [0, 2, 1, 3, 4, 6, 5, 7]
    weights = {f"blocks.0.attention.{part}_proj.weight": rows for part in "qk"}
    reorder_heads(weights, {"n_layer": 1, "n_head": 2, "n_kv_head": 1}, neighbors)
    assert weights["blocks.0.attention.k_proj.weight"].flatten()[:3].tolist() == [0, 4, 1]


LLAMA: dict[str, Any] = {
    "general.architecture": "llama",
    "llama.context_length": 8,
    "llama.embedding_length": 8,
    "llama.block_count": 1,
    "llama.attention.head_count": 2,
    "llama.feed_forward_length": 12,
    "llama.attention.layer_norm_rms_epsilon": 1e-5,
}


def llama_weights() -> dict[str, torch.Tensor]:
    shapes = {
        "attn_norm": (8,), "ffn_norm": (8,), "attn_q": (8, 8), "attn_k": (8, 8), "attn_v": (8, 8),
        "attn_output": (8, 8), "ffn_gate": (12, 8), "ffn_up": (12, 8), "ffn_down": (8, 12),
    }  # fmt: skip
    block = {f"blk.0.{name}.weight": torch.rand(shape) for name, shape in shapes.items()}
    return {**block, "token_embd.weight": torch.rand(5, 8), "output_norm.weight": torch.rand(8)}


def test_what_an_older_file_does_not_say_has_its_usual_value() -> None:
    config, weights = from_gguf(LLAMA, llama_weights())
    settings = config.model_dump()
    assert (settings["n_kv_head"], settings["head_dim"], settings["rope_base"]) == (2, None, 10_000)
    assert settings["tie_embeddings"]
    assert not settings["qk_norm"]
    assert weights["blocks.0.attention.q_proj.weight"].shape == (8, 8)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"general.architecture": "mamba"}, "found 'mamba', expected qwen3, llama or gpt2"),
        ({"llama.rope.scaling.type": "yarn"}, "scaled rotary positions"),
        ({"llama.expert_count": 8}, "expert_count: found 8"),
        ({"llama.rope.dimension_count": 2}, "dimension_count: found 2, expected 4"),
        ({"llama.block_count": None}, "block_count: found nothing"),
        ({"llama.rope.freq_base": float("nan")}, "freq_base: found nan, expected a number"),
    ],
)
def test_what_a_gguf_file_may_not_have(change: dict[str, Any], message: str) -> None:
    with pytest.raises(RunError, match=message):
        from_gguf({**LLAMA, **change}, llama_weights())


def test_scaled_positions_are_a_tensor_in_gguf_files() -> None:
    weights = {**llama_weights(), "rope_freqs.weight": torch.ones(2)}
    with pytest.raises(RunError, match="scaled rotary positions"):
        from_gguf(LLAMA, weights)


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("relu", "relu"),
        ("gelu", "gelu"),
        ("gelu_new", "gelu_tanh"),
        ("gelu_pytorch_tanh", "gelu_tanh"),
    ],
)
def test_activations_of_gpt2(name: str, own: str) -> None:
    config = {
        "architectures": ["GPT2LMHeadModel"], "n_positions": 8, "n_embd": 8, "n_layer": 1, "n_head": 2,
    }  # fmt: skip
    weights = {"transformer.wte.weight": torch.ones(5, 8)}
    found, _ = from_huggingface({**config, "activation_function": name}, weights)
    assert found.model_dump()["activation"] == own
    assert found.model_dump()["tie_embeddings"]
    with pytest.raises(RunError, match="activation_function: found 'silu', expected relu, gelu"):
        from_huggingface({**config, "activation_function": "silu"}, weights)
