"""A modern GPT, exactly in the form of Hugging Face's Qwen3, which can load its weights.

RMSNorm before each branch and at the end; rotary positions; QK-norm per head; SwiGLU; grouped queries;
no biases. Without QK-norm (`qk_norm`) it is Llama. Left out of Qwen3: sliding windows, which its small
models do not use; of Llama: scaled rotary positions. `pair_embedding` and `conv_kernel` are not part of
either and off by default. Qwen3 technical report 2025; Llama: Touvron et al. 2023; RoPE: Su et al.
2021; SwiGLU: Shazeer 2020; QK-norm: Henry et al. 2020; grouped queries: Ainslie et al. 2023.

B batch, T positions, C channels (n_embd), H heads, G heads of keys and values, D channels of a head, V
vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from hornbook.config import ModelConfig
from hornbook.layers.attention import CausalAttention, document_mask, merge_heads, split_heads
from hornbook.layers.cache import KVCache
from hornbook.layers.convolution import ConvolutionCache, ShortConvolution, same_document
from hornbook.layers.documents import document_starts
from hornbook.layers.norms import RMSNorm
from hornbook.layers.pairs import PairEmbedding
from hornbook.layers.residual import ResidualDropout
from hornbook.layers.rotary import Rotation, rotary_angles
from hornbook.models.base import DecodingState, check_divides
from hornbook.models.cached import EmbeddingModel


class GPTConfig(ModelConfig):
    """Sizes of a modern GPT."""

    name: Literal["gpt"] = "gpt"
    context_length: int = Field(64, gt=0, le=1 << 24, description="longest sequence, in tokens")
    n_layer: int = Field(4, gt=0, le=512, description="blocks")
    n_head: int = Field(4, gt=0, description="attention heads")
    n_kv_head: int = Field(4, gt=0, description="heads of keys and values, shared by groups")
    n_embd: int = Field(96, gt=0, description="channels")
    head_dim: int | None = Field(
        None, gt=0, description="channels of a head (default: n_embd / n_head)"
    )
    n_hidden: int = Field(256, gt=0, description="channels of the SwiGLU")
    rope_base: float = Field(10_000.0, gt=1, description="base of the rotary frequencies")
    norm_eps: float = Field(1e-6, gt=0, description="added to the mean square in RMSNorm")
    qk_norm: bool = Field(True, description="normalizes queries and keys; false: Llama")
    tie_embeddings: bool = Field(False, description="the head is the embedding, transposed")
    dropout: float = Field(0.0, ge=0, lt=1, description="on the residual branches")
    pair_embedding: bool = Field(
        False, description="also embeds each token with the one before it; not in Qwen3"
    )
    conv_kernel: int = Field(
        1, ge=1, le=64, description="width of a convolution before SwiGLU; 1: none; not in Qwen3"
    )

    @model_validator(mode="after")
    def _heads_divide(self) -> Self:
        if self.head_dim is None:
            check_divides(self, "n_head", "n_embd")
        check_divides(self, "n_kv_head", "n_head")
        if self.head_channels % 2:
            what = "n_embd / n_head" if self.head_dim is None else "head_dim"
            raise ValueError(f"{what} must be even: rotary positions rotate pairs")
        return self

    @property
    def head_channels(self) -> int:
        """Channels of a head."""
        return self.n_embd // self.n_head if self.head_dim is None else self.head_dim


class CausalSelfAttention(nn.Module):
    """Attention with QK-norm, unless it is off, and rotary positions."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        dim = config.head_channels
        self.n_head, self.n_kv_head = config.n_head, config.n_kv_head
        self.q_proj = nn.Linear(config.n_embd, config.n_head * dim, bias=False)
        self.k_proj = nn.Linear(config.n_embd, config.n_kv_head * dim, bias=False)
        self.v_proj = nn.Linear(config.n_embd, config.n_kv_head * dim, bias=False)
        self.o_proj = nn.Linear(config.n_head * dim, config.n_embd, bias=False)
        self.head_dim, self.rope_base = dim, config.rope_base
        self.q_norm = RMSNorm(dim, config.norm_eps) if config.qk_norm else None
        self.k_norm = RMSNorm(dim, config.norm_eps) if config.qk_norm else None
        self.rotate = Rotation()
        self.attend = CausalAttention()

    def forward(
        self,
        x: Tensor,
        cos: Tensor | None = None,
        sin: Tensor | None = None,
        mask: Tensor | None = None,
        cache: KVCache | None = None,
    ) -> Tensor:
        """(B, T, C) -> (B, T, C); cos and sin (T, D), mask (B, 1, T, T) bool.

        Without cos and sin positions count from 0, without a mask each sees all before it.
        """
        if cos is None or sin is None:
            positions = torch.arange(x.shape[1], device=x.device)
            cos, sin = rotary_angles(positions, self.head_dim, self.rope_base)
        q = split_heads(self.q_proj(x), self.n_head)  # (B, H, T, D)
        k = split_heads(self.k_proj(x), self.n_kv_head)  # (B, G, T, D)
        v = split_heads(self.v_proj(x), self.n_kv_head)
        if self.q_norm is not None and self.k_norm is not None:
            q, k = self.q_norm(q), self.k_norm(k)
        q, k = self.rotate(q, cos, sin), self.rotate(k, cos, sin)
        y = self.attend(q, k, v, mask) if cache is None else cache.attend(q, k, v)
        out: Tensor = self.o_proj(merge_heads(y))
        return out


class SwiGLU(nn.Module):
    """down(silu(gate(x)) * up(x)), (B, T, C) -> (B, T, C)."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.n_embd, config.n_hidden, bias=False)
        self.up_proj = nn.Linear(config.n_embd, config.n_hidden, bias=False)
        self.down_proj = nn.Linear(config.n_hidden, config.n_embd, bias=False)
        self.activation = nn.SiLU()

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, C) -> (B, T, C)."""
        out: Tensor = self.down_proj(self.activation(self.gate_proj(x)) * self.up_proj(x))
        return out


class Block(nn.Module):
    """Attention, then SwiGLU, each on the normalized stream and added to it.

    The convolution, if there is one, is before SwiGLU: before attention it gains nothing
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
        self.add = ResidualDropout(config.dropout)

    def forward(
        self,
        x: Tensor,
        cos: Tensor | None = None,
        sin: Tensor | None = None,
        mask: Tensor | None = None,
        same: list[Tensor] | None = None,
        cache: Sequence[Any] | None = None,
    ) -> Tensor:
        """(B, T, C) -> (B, T, C); with x alone as one stream from position 0.

        same: `same_document`. cache: a KVCache and a ConvolutionCache.
        """
        kv_cache, convolution_cache = cache or (None, None)
        x = self.add(x, self.attention(self.input_norm(x), cos, sin, mask, kv_cache))
        y = self.hidden_norm(x)
        if self.convolution is not None:
            y = self.convolution(y, same, convolution_cache)
        out: Tensor = self.add(x, self.mlp(y))
        return out


class GPT(EmbeddingModel):
    """Embedding, blocks, a last norm, a head."""

    def __init__(self, config: GPTConfig, vocab_size: int, end_id: int | None) -> None:
        super().__init__(config, vocab_size, end_id, config.context_length)
        self.head_dim, self.rope_base = config.head_channels, config.rope_base
        self.conv_kernel = config.conv_kernel
        dim = config.n_embd
        self.token_embedding = nn.Embedding(vocab_size, dim)
        pairs = config.pair_embedding
        self.pair_embedding = PairEmbedding(vocab_size, dim, end_id) if pairs else None
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.n_layer))
        self.norm = RMSNorm(dim, config.norm_eps)
        self.head = None if config.tie_embeddings else nn.Linear(dim, vocab_size, bias=False)
        self.init_weights()

    def init_weights(self) -> None:
        """Every branch begins as zero, so that a deep stack begins as its embedding.

        | parameter                 | from                      |
        | ------------------------- | ------------------------- |
        | embedding                 | N(0, 1); tied: N(0, 0.02) |
        | q, k, v, gate, up         | N(0, 1 / fan_in)          |
        | o_proj, down_proj         | 0                         |
        | head, pairs, convolutions | 0 (logits begin uniform)  |
        | norms                     | 1                         |
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

    def forward(self, ids: Tensor, added: Tensor | None = None) -> Tensor:
        """(B, T) -> (B, T, V)."""
        self.check_length(ids)
        # rotary positions are relative: inside a document they need not begin at 0
        positions = torch.arange(ids.shape[1], device=ids.device)
        cos, sin = rotary_angles(positions, self.head_dim, self.rope_base)  # (T, D)
        x = self.embed(ids)  # (B, T, C)
        x = x if added is None else x + added
        mask = same = None
        if self.end_id is not None:
            starts = document_starts(ids, self.end_id)
            mask = document_mask(starts)
            same = same_document(starts, self.conv_kernel, x.dtype)
        for block in self.blocks:
            x = block(x, cos, sin, mask, same)
        return self.logits(x)

    def embed(self, ids: Tensor, before: Tensor | None = None) -> Tensor:
        """(B, T) -> (B, T, C); before: the token before each row, (B,), if there is one."""
        x: Tensor = self.token_embedding(ids)
        return x if self.pair_embedding is None else x + self.pair_embedding(ids, before)

    def logits(self, x: Tensor) -> Tensor:
        """The last norm and the head, (..., C) -> (..., V)."""
        x = self.norm(x)
        if self.head is None:
            return F.linear(x, self.token_embedding.weight)
        logits: Tensor = self.head(x)
        return logits

    def empty_cache(self, ids: Tensor) -> list[Any]:
        """Keys and values, and the last inputs of the convolution, of each block."""
        return [part for _ in self.blocks for part in (KVCache(), ConvolutionCache())]

    def read(self, ids: Tensor, state: DecodingState, added: Tensor | None = None) -> Tensor:
        """(B, T) -> (B, V)."""
        positions = state.positions(ids.shape[1]).unsqueeze(-2)  # the same for each head
        cos, sin = rotary_angles(positions, self.head_dim, self.rope_base)  # (1, T, D)
        began = state.ids.shape[1] > ids.shape[1]
        x = self.embed(ids, state.ids[:, -1 - ids.shape[1]] if began else None)  # (B, T, C)
        x = x if added is None else x + added
        for block, *cache in zip(self.blocks, state.cache[::2], state.cache[1::2], strict=True):
            x = block(x, cos, sin, cache=cache)
        return self.logits(x[:, -1])
