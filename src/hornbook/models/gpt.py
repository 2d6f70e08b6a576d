"""Today's GPT, exactly in the form of Hugging Face's Qwen3, so that it runs there without own code.

RMSNorm before each branch and at the end; rotary positions; queries and keys normalised per head
with learned weights before they are turned; SwiGLU; no biases; fewer heads for keys and values
where wished (grouped queries). Left out of Qwen3: nothing but sliding windows, which its small
models do not use. `pair_embedding` and `conv_kernel` are not part of it, and off by default. Qwen3
technical report 2025; RoPE: Su et al. 2021; SwiGLU: Shazeer 2020; QK-norm: Henry et al. 2020; grouped
queries: Ainslie et al. 2023.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from hornbook.config import ModelConfig
from hornbook.layers.attention import (
    CausalAttention,
    document_mask,
    merge_heads,
    rotary_angles,
    rotate,
    split_heads,
)
from hornbook.layers.cache import KVCache, Moves
from hornbook.layers.convolution import Recent, ShortConvolution, same_document
from hornbook.layers.documents import document_starts
from hornbook.layers.dropout import Dropout
from hornbook.layers.linear import Linear
from hornbook.layers.norms import RMSNorm
from hornbook.layers.pairs import PairEmbedding
from hornbook.models.base import State, check_divides
from hornbook.models.cached import CachedModel


class GPTConfig(ModelConfig):
    """Sizes of today's GPT."""

    name: Literal["gpt"] = "gpt"
    context_length: int = Field(64, gt=0, le=1 << 24, description="longest sequence, in tokens")
    n_layer: int = Field(4, gt=0, le=512, description="blocks")
    n_head: int = Field(4, gt=0, description="attention heads")
    n_kv_head: int = Field(4, gt=0, description="heads of keys and values, shared by groups")
    n_embd: int = Field(96, gt=0, description="channels")
    n_hidden: int = Field(256, gt=0, description="channels of the SwiGLU")
    rope_base: float = Field(10_000.0, gt=1, description="base of the rotary frequencies")
    norm_eps: float = Field(1e-6, gt=0, description="added to the mean square in RMSNorm")
    tie_embeddings: bool = Field(False, description="the head is the embedding, transposed")
    dropout: float = Field(0.0, ge=0, lt=1, description="on the residual branches")
    pair_embedding: bool = Field(
        False, description="also embeds each symbol with the one before it; not part of Qwen3"
    )
    conv_kernel: int = Field(
        1,
        ge=1,
        le=64,
        description="places that a convolution joins before SwiGLU; 1: none; not part of Qwen3",
    )

    @model_validator(mode="after")
    def _heads_divide(self) -> Self:
        check_divides(self, "n_head", "n_embd")
        check_divides(self, "n_kv_head", "n_head")
        if (self.n_embd // self.n_head) % 2:
            raise ValueError("n_embd / n_head is to be even: rotary positions turn pairs")
        return self


class CausalSelfAttention(nn.Module):
    """Attention with QK-norm and rotary positions."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        dim = config.n_embd // config.n_head
        self.n_head, self.n_kv_head = config.n_head, config.n_kv_head
        self.q_proj = Linear(config.n_embd, config.n_head * dim, bias=False)
        self.k_proj = Linear(config.n_embd, config.n_kv_head * dim, bias=False)
        self.v_proj = Linear(config.n_embd, config.n_kv_head * dim, bias=False)
        self.o_proj = Linear(config.n_head * dim, config.n_embd, bias=False)
        self.q_norm = RMSNorm(dim, config.norm_eps)
        self.k_norm = RMSNorm(dim, config.norm_eps)
        self.attend = CausalAttention()

    def forward(
        self,
        x: Tensor,
        cos: Tensor,
        sin: Tensor,
        mask: Tensor | None,
        cache: KVCache | None = None,
    ) -> Tensor:
        """(B, T, C) -> (B, T, C)."""
        q = rotate(self.q_norm(split_heads(self.q_proj(x), self.n_head)), cos, sin)
        k = rotate(self.k_norm(split_heads(self.k_proj(x), self.n_kv_head)), cos, sin)
        v = split_heads(self.v_proj(x), self.n_kv_head)
        y = self.attend(q, k, v, mask) if cache is None else cache.attend(q, k, v)
        out: Tensor = self.o_proj(merge_heads(y))
        return out


class SwiGLU(nn.Module):
    """down(silu(gate(x)) * up(x)), (B, T, C) -> (B, T, C)."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.gate_proj = Linear(config.n_embd, config.n_hidden, bias=False)
        self.up_proj = Linear(config.n_embd, config.n_hidden, bias=False)
        self.down_proj = Linear(config.n_hidden, config.n_embd, bias=False)
        self.activation = nn.SiLU()

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, C) -> (B, T, C)."""
        out: Tensor = self.down_proj(self.activation(self.gate_proj(x)) * self.up_proj(x))
        return out


class BlockCache:
    """What a block keeps of rows that go on."""

    def __init__(self) -> None:
        self.attention, self.recent = KVCache(), Recent()

    def tensors(self) -> list[Tensor]:
        """What is written to, place by place."""
        return self.attention.tensors() + self.recent.tensors()

    def at(self, place: Tensor, mask: Tensor, tensors: Iterator[Tensor]) -> BlockCache:
        """The same for one place that a tensor names, in `tensors`."""
        other = BlockCache()
        other.attention = self.attention.at(place, mask, tensors)
        other.recent = self.recent.at(tensors)
        return other

    def took_place(self) -> None:
        """A place was written to its tensors from outside."""
        self.attention.took_place()

    def branch(self, rows: Tensor) -> None:
        """Makes these rows (n,) the rows."""
        self.attention.branch(rows)
        self.recent.branch(rows)

    def keep(self, moves: Moves) -> None:
        """Lets rows leave."""
        self.attention.keep(moves)
        self.recent.keep(moves)


class Block(nn.Module):
    """Attention, then SwiGLU, each on the normalised stream and added to it.

    A convolution, where there is one, stands before SwiGLU: before attention it gains nothing
    (docs/logbook.md).
    """

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.input_norm = RMSNorm(config.n_embd, config.norm_eps)
        self.attention = CausalSelfAttention(config)
        self.hidden_norm = RMSNorm(config.n_embd, config.norm_eps)
        kernel = config.conv_kernel
        self.convolution = ShortConvolution(config.n_embd, kernel) if kernel > 1 else None
        self.mlp = SwiGLU(config)
        self.dropout = Dropout(config.dropout)

    def forward(
        self,
        x: Tensor,
        cos: Tensor,
        sin: Tensor,
        mask: Tensor | None,
        same: list[Tensor] | None = None,
        cache: BlockCache | None = None,
    ) -> Tensor:
        """(B, T, C) -> (B, T, C). same: see `same_document`."""
        kept = None if cache is None else cache.attention
        x = self.dropout(self.attention(self.input_norm(x), cos, sin, mask, kept), x)
        seen = self.hidden_norm(x)
        if self.convolution is not None:
            seen = self.convolution(seen, same, None if cache is None else cache.recent)
        out: Tensor = self.dropout(self.mlp(seen), x)
        return out


class GPT(CachedModel):
    """Embedding, blocks, a last norm, a head."""

    def __init__(self, config: GPTConfig, vocab_size: int, end_id: int | None) -> None:
        super().__init__(config, vocab_size, end_id, config.context_length)
        self.head_dim, self.rope_base = config.n_embd // config.n_head, config.rope_base
        self.conv_kernel = config.conv_kernel
        self.token_embedding = nn.Embedding(vocab_size, config.n_embd)
        self.pair_embedding = (
            PairEmbedding(vocab_size, config.n_embd, end_id) if config.pair_embedding else None
        )
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.n_layer))
        self.norm = RMSNorm(config.n_embd, config.norm_eps)
        self.head = None if config.tie_embeddings else Linear(config.n_embd, vocab_size, bias=False)
        self.init_weights()

    def init_weights(self) -> None:
        """Every branch begins as nothing, so that a deep stack begins as its embedding.

        | parameter               | from                 |
        | ----------------------- | -------------------- |
        | embedding               | N(0, 1); tied: N(0, 0.02) |
        | q, k, v, gate, up       | N(0, 1 / fan_in)     |
        | o_proj, down_proj       | 0                    |
        | head, pairs, convolutions | 0 (logits begin uniform) |
        | norms                   | 1                    |
        """
        for name, parameter in self.named_parameters():
            if name == "token_embedding.weight":
                nn.init.normal_(parameter, std=1.0 if self.head is not None else 0.02)
            elif name.startswith(("head.", "pair_embedding.")) or name.endswith(
                ("o_proj.weight", "down_proj.weight", "convolution.weight")
            ):
                nn.init.zeros_(parameter)
            elif parameter.ndim == 2:
                nn.init.normal_(parameter, std=parameter.shape[1] ** -0.5)

    @property
    def output(self) -> nn.Module:
        """The head, or the embedding that it is tied to."""
        return self.token_embedding if self.head is None else self.head

    def forward(self, ids: Tensor) -> Tensor:
        """(B, T) -> (B, T, V)."""
        self.check_length(ids)
        # rotary positions are relative: inside a document they need not begin at 0
        places = torch.arange(ids.shape[1], device=ids.device)
        cos, sin = rotary_angles(places, self.head_dim, self.rope_base)  # (T, D)
        x = self.token_embedding(ids)  # (B, T, C)
        mask = same = None
        if self.end_id is not None:
            starts = document_starts(ids, self.end_id)
            mask = document_mask(starts)
            same = same_document(starts, self.conv_kernel, x.dtype)
        if self.pair_embedding is not None:
            x = x + self.pair_embedding(ids)
        for block in self.blocks:
            x = block(x, cos, sin, mask, same)
        return self._logits(x)

    def _logits(self, x: Tensor) -> Tensor:
        x = self.norm(x)
        if self.head is None:
            return F.linear(x, self.token_embedding.weight)
        logits: Tensor = self.head(x)
        return logits

    def empty(self, ids: Tensor) -> list[BlockCache]:
        """One cache a block."""
        return [BlockCache() for _ in self.blocks]

    def read(self, ids: Tensor, state: State) -> Tensor:
        """(B, T) -> (B, V)."""
        cos, sin = rotary_angles(
            state.places(ids.shape[1]), self.head_dim, self.rope_base
        )  # (T, D)
        x = self.token_embedding(ids)  # (B, T, C)
        if self.pair_embedding is not None:
            before = state.ids[:, -2] if state.length else None
            x = x + self.pair_embedding(ids, before)
        for block, cache in zip(self.blocks, state.kept, strict=True):
            x = block(x, cos, sin, None, cache=cache)
        return self._logits(x[:, -1])
