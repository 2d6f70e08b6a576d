"""What the tests of foreign weights share: small models of transformers, with random weights."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
import tokenizers
import torch

from hornbook.models.base import LanguageModel
from hornbook.models.registry import build_empty
from hornbook.pretrained.base import Base
from hornbook.tokenizers.bpe import train_bpe

TEXT = "the other theory of the others, 12 × the theory\n" * 9
END = "<|endoftext|>"
SIZES = {
    "vocab_size": 290, "hidden_size": 32, "intermediate_size": 40, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 24,
}  # fmt: skip
CONFIGS: dict[str, tuple[str, dict[str, Any]]] = {
    "qwen3": ("Qwen3", {**SIZES, "head_dim": 8, "tie_word_embeddings": False, "rope_theta": 500.0}),
    "tied": ("Qwen3", {**SIZES, "head_dim": 8, "tie_word_embeddings": True}),
    "wide": ("Qwen3", {**SIZES, "head_dim": 12, "rms_norm_eps": 1e-4}),
    "llama": ("Llama", {**SIZES, "rms_norm_eps": 1e-5}),
    "llama-tied": ("Llama", {**SIZES, "tie_word_embeddings": True, "head_dim": 12}),
    "gpt2": (
        "GPT2",
        {"vocab_size": 290, "n_positions": 24, "n_embd": 32, "n_layer": 2, "n_head": 4},
    ),
    "gpt2-untied": (
        "GPT2",
        {
            "vocab_size": 290, "n_positions": 24, "n_embd": 32, "n_layer": 2, "n_head": 2,
            "n_inner": 40, "activation_function": "relu", "tie_word_embeddings": False,
            "layer_norm_epsilon": 1e-4,
        },
    ),
}  # fmt: skip


def save_tokenizer(folder: Path, **changes: Any) -> None:
    """A tokenizer.json of 290 ids with an end of text, as the library of Hugging Face writes it."""
    data = train_bpe([TEXT], 289, documents=False).to_json()
    own = tokenizers.Tokenizer.from_str(json.dumps({**data, **changes}))
    while own.get_vocab_size() < 289:
        own.add_special_tokens([f"<unused-{own.get_vocab_size()}>"])
    own.add_special_tokens([END])
    own.save(str(folder / "tokenizer.json"))


def save_model(folder: Path, name: str, dtype: torch.dtype = torch.float32, **saving: Any) -> Any:
    """Writes a model of `CONFIGS` with random weights as transformers does, and returns it."""
    transformers = pytest.importorskip("transformers", reason="needs transformers: hornbook[hf]")
    kind, fields = CONFIGS[name]
    ids = {"bos_token_id": 289, "eos_token_id": 289, "pad_token_id": 289}
    config = getattr(transformers, f"{kind}Config")(**fields, **ids)
    head = {"GPT2": "GPT2LMHeadModel"}.get(kind, f"{kind}ForCausalLM")
    torch.manual_seed(1)
    model = getattr(transformers, head)(config)
    with torch.no_grad():
        for parameter in model.parameters():  # norms and biases too
            parameter += 0.1 * torch.randn_like(parameter)
    model = model.to(dtype).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.save_pretrained(folder, **saving)
    save_tokenizer(folder)
    return model


def built(base: Base) -> LanguageModel:
    """The model of a base."""
    model = build_empty(base.model, base.tokenizer.vocab_size, base.tokenizer.end_id)
    model.load_weights(base.tensors)
    return model.eval()


def rows() -> torch.Tensor:
    """Ids without the end, (3, 24)."""
    return torch.randint(0, 289, (3, 24), generator=torch.Generator().manual_seed(2))
