"""Names of weights here, in Hugging Face's files and in GGUF files: one table a form, read both ways.

A table has a row for each weight of a model, `{}` standing for the number of a block. `to_huggingface`,
`from_huggingface`, `to_gguf` and `from_gguf` rename a whole set of weights; what belongs to no row, or
has no weight, raises RunError. No values change but for `turned` rows, which GPT-2's files of Hugging
Face hold transposed (its Conv1D).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from hornbook.errors import RunError


@dataclass(frozen=True)
class Row:
    """A weight by its three names. turned: Hugging Face's files hold it transposed."""

    own: str
    huggingface: str
    gguf: str
    turned: bool = False


Table = tuple[Row, ...]

QWEN3: Table = (
    Row("token_embedding.weight", "model.embed_tokens.weight", "token_embd.weight"),
    Row("norm.weight", "model.norm.weight", "output_norm.weight"),
    Row("head.weight", "lm_head.weight", "output.weight"),
    *(
        Row(
            f"blocks.{{}}.{own}.weight", f"model.layers.{{}}.{hf}.weight", f"blk.{{}}.{gguf}.weight"
        )
        for own, hf, gguf in (
            ("input_norm", "input_layernorm", "attn_norm"),
            ("attention.q_proj", "self_attn.q_proj", "attn_q"),
            ("attention.k_proj", "self_attn.k_proj", "attn_k"),
            ("attention.v_proj", "self_attn.v_proj", "attn_v"),
            ("attention.o_proj", "self_attn.o_proj", "attn_output"),
            ("attention.q_norm", "self_attn.q_norm", "attn_q_norm"),
            ("attention.k_norm", "self_attn.k_norm", "attn_k_norm"),
            ("hidden_norm", "post_attention_layernorm", "ffn_norm"),
            ("mlp.gate_proj", "mlp.gate_proj", "ffn_gate"),
            ("mlp.up_proj", "mlp.up_proj", "ffn_up"),
            ("mlp.down_proj", "mlp.down_proj", "ffn_down"),
        )
    ),
)
"""`gpt`; a model with tied embeddings has no head."""

LLAMA: Table = tuple(
    row for row in QWEN3 if not row.own.endswith(("q_norm.weight", "k_norm.weight"))
)
"""`gpt` without QK-norm."""

GPT2: Table = (
    Row("token_embedding.weight", "transformer.wte.weight", "token_embd.weight"),
    Row("position_embedding.weight", "transformer.wpe.weight", "position_embd.weight"),
    Row("ln_f.weight", "transformer.ln_f.weight", "output_norm.weight"),
    Row("ln_f.bias", "transformer.ln_f.bias", "output_norm.bias"),
    Row("head.weight", "lm_head.weight", "output.weight"),
    *(
        Row(
            f"blocks.{{}}.{own}.{kind}",
            f"transformer.h.{{}}.{hf}.{kind}",
            f"blk.{{}}.{gguf}.{kind}",
            turned=kind == "weight" and not own.startswith("ln"),
        )
        for own, hf, gguf in (
            ("ln1", "ln_1", "attn_norm"),
            ("attn.qkv", "attn.c_attn", "attn_qkv"),
            ("attn.proj", "attn.c_proj", "attn_output"),
            ("ln2", "ln_2", "ffn_norm"),
            ("mlp.0", "mlp.c_fc", "ffn_up"),
            ("mlp.2", "mlp.c_proj", "ffn_down"),
        )
        for kind in ("weight", "bias")
    ),
)
"""`gpt2` without a bias of the head, which others do not have."""


def to_huggingface(table: Table, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights named as here -> as in Hugging Face's files."""
    return _renamed(table, weights, lambda row: row.own, lambda row: row.huggingface, turn=True)


def from_huggingface(table: Table, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights named as in Hugging Face's files -> as here."""
    return _renamed(table, weights, lambda row: row.huggingface, lambda row: row.own, turn=True)


def to_gguf(table: Table, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights named as here -> as in GGUF files."""
    return _renamed(table, weights, lambda row: row.own, lambda row: row.gguf, turn=False)


def from_gguf(table: Table, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights named as in GGUF files -> as here."""
    return _renamed(table, weights, lambda row: row.gguf, lambda row: row.own, turn=False)


def _renamed(
    table: Table,
    weights: Mapping[str, Tensor],
    found: Callable[[Row], str],
    wanted: Callable[[Row], str],
    *,
    turn: bool,
) -> dict[str, Tensor]:
    """Each weight under its other name. Raises RunError for a name that no row has."""
    rows = {found(row): row for row in table}
    renamed: dict[str, Tensor] = {}
    for name, weight in weights.items():
        number = re.search(r"\.(\d+)\.", name)  # the first number is the block's
        block = number[1] if number else ""
        row = rows.get(name) or rows.get(name.replace(f".{block}.", ".{}.", 1))
        if row is None:
            bias = " (this form has no biases there)" if name.endswith(".bias") else ""
            raise RunError(
                f"{name}: no weight of this form has this name{bias}, expected one such as "
                f"{found(table[0])}"
            )
        turned = turn and row.turned
        renamed[wanted(row).format(block)] = weight.T.contiguous() if turned else weight
    return renamed
