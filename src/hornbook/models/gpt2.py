"""The notes' GPT (the GPT-2 form): learned positions, pre-LayerNorm, ReLU or GELU, dropout.

With the notes' settings (6 layers, 6 heads, 384 channels, context 256, 65 characters) it has their
10,788,929 parameters: queries, keys and values without bias, the rest and the head with one. With
`qkv_bias`, `tie_embeddings` and the activation `gelu_tanh` it is OpenAI's GPT-2.
One product for queries, keys and values, and the fused attention of PyTorch, in place of the notes'
loop over heads; the function is the same. Radford et al. 2019; the notes, "GPT".

B batch, T positions, C channels (n_embd), H heads, D channels of a head, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from hornbook.config import ModelConfig
from hornbook.layers.attention import CausalAttention, document_mask, merge_heads, split_heads
from hornbook.layers.cache import KVCache
from hornbook.layers.documents import document_starts
from hornbook.layers.residual import ResidualDropout
from hornbook.models.base import DecodingState, check_divides
from hornbook.models.cached import EmbeddingModel

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "gelu_tanh": partial(nn.GELU, approximate="tanh"),
}


class GPT2Config(ModelConfig):
    """Sizes of the notes' GPT."""

    name: Literal["gpt2"] = "gpt2"
    context_length: int = Field(256, gt=0, le=1 << 24, description="longest sequence, in tokens")
    n_layer: int = Field(6, gt=0, le=512, description="blocks")
    n_head: int = Field(6, gt=0, description="attention heads")
    n_embd: int = Field(384, gt=0, description="channels")
    dropout: float = Field(0.2, ge=0, lt=1, description="on the residual branches")
    attention_dropout: float = Field(0.0, ge=0, lt=1, description="on the attention weights")
    activation: Literal["relu", "gelu", "gelu_tanh"] = Field(
        "relu", description="of the hidden layer; gelu_tanh: GELU as GPT-2 approximates it"
    )
    n_hidden: int | None = Field(
        None, gt=0, description="channels of the hidden layer (default: 4 n_embd)"
    )
    qkv_bias: bool = Field(False, description="queries, keys and values have a bias")
    tie_embeddings: bool = Field(
        False, description="the head is the embedding, transposed, without a bias"
    )
    norm_eps: float = Field(1e-5, gt=0, description="added to the variance in LayerNorm")
    head_std: float = Field(
        0.01, ge=0, description="standard deviation of the head's first weights (the notes: 0.02)"
    )

    @model_validator(mode="after")
    def _heads_divide(self) -> Self:
        check_divides(self, "n_head", "n_embd")
        return self

    @property
    def hidden_channels(self) -> int:
        """Channels of the hidden layer."""
        return 4 * self.n_embd if self.n_hidden is None else self.n_hidden


class CausalSelfAttention(nn.Module):
    """Every position attends to itself and earlier ones, by `n_head` heads."""

    def __init__(self, config: GPT2Config) -> None:
        super().__init__()
        self.n_head = config.n_head
        self.qkv = nn.Linear(config.n_embd, 3 * config.n_embd, bias=config.qkv_bias)
        self.proj = nn.Linear(config.n_embd, config.n_embd)
        self.attend = CausalAttention(config.attention_dropout)

    def forward(
        self, x: Tensor, mask: Tensor | None = None, cache: KVCache | None = None
    ) -> Tensor:
        """(B, T, C) -> (B, T, C); mask (B, 1, T, T) bool."""
        q, k, v = (
            split_heads(y, self.n_head) for y in self.qkv(x).chunk(3, dim=-1)
        )  # (B, H, T, D)
        y = self.attend(q, k, v, mask) if cache is None else cache.attend(q, k, v)
        out: Tensor = self.proj(merge_heads(y))
        return out


class MLP(nn.Sequential):
    """Each position by itself: (B, T, C) -> (B, T, hidden) -> (B, T, C)."""

    def __init__(self, config: GPT2Config) -> None:
        super().__init__(
            nn.Linear(config.n_embd, config.hidden_channels),
            ACTIVATIONS[config.activation](),
            nn.Linear(config.hidden_channels, config.n_embd),
        )


class Block(nn.Module):
    """Attention, then an MLP, each on the normalized stream and added to it."""

    def __init__(self, config: GPT2Config) -> None:
        super().__init__()
        self.ln1 = nn.LayerNorm(config.n_embd, config.norm_eps)
        self.attn = CausalSelfAttention(config)
        self.ln2 = nn.LayerNorm(config.n_embd, config.norm_eps)
        self.mlp = MLP(config)
        self.add = ResidualDropout(config.dropout)

    def forward(
        self, x: Tensor, mask: Tensor | None = None, cache: KVCache | None = None
    ) -> Tensor:
        """(B, T, C) -> (B, T, C)."""
        x = self.add(x, self.attn(self.ln1(x), mask, cache))
        out: Tensor = self.add(x, self.mlp(self.ln2(x)))
        return out


class GPT2(EmbeddingModel):
    """Embeddings of token and position, blocks, a last LayerNorm, a head."""

    def __init__(self, config: GPT2Config, vocab_size: int, end_id: int | None) -> None:
        super().__init__(config, vocab_size, end_id, config.context_length)
        self.token_embedding = nn.Embedding(vocab_size, config.n_embd)
        self.position_embedding = nn.Embedding(config.context_length, config.n_embd)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.n_layer))
        self.ln_f = nn.LayerNorm(config.n_embd, config.norm_eps)
        tied = config.tie_embeddings
        self.head = None if tied else nn.Linear(config.n_embd, vocab_size)
        self.init_weights(config.head_std)

    def init_weights(self, head_std: float) -> None:
        """As in the notes, but by default a smaller head: with their 0.02 the first loss is 0.08 to
        0.15 above the uniform baseline, at their size.

        | parameter           | from             |
        | ------------------- | ---------------- |
        | weights, embeddings | N(0, 0.02)       |
        | weight of the head  | N(0, head_std)   |
        | biases              | 0                |
        | LayerNorm           | weight 1, bias 0 |
        """
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=0.02)
            if isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)
        if self.head is not None:
            nn.init.normal_(self.head.weight, std=head_std)

    @property
    def output(self) -> nn.Module:
        """The head, or the embedding that it is tied to."""
        return self.token_embedding if self.head is None else self.head

    def forward(self, ids: Tensor, added: Tensor | None = None) -> Tensor:
        """(B, T) -> (B, T, V)."""
        self.check_length(ids)
        positions, mask = torch.arange(ids.shape[1], device=ids.device), None
        if self.end_id is not None:
            starts = document_starts(ids, self.end_id)
            positions, mask = positions - starts, document_mask(starts)
        x = self.token_embedding(ids) + self.position_embedding(positions)  # (B, T, C)
        x = x if added is None else x + added
        for block in self.blocks:
            x = block(x, mask)
        return self.logits(x)

    def logits(self, x: Tensor) -> Tensor:
        """The last LayerNorm and the head, (..., C) -> (..., V)."""
        x = self.ln_f(x)
        if self.head is None:
            return F.linear(x, self.token_embedding.weight)
        logits: Tensor = self.head(x)
        return logits

    def empty_cache(self, ids: Tensor) -> list[Any]:
        """Keys and values of each block."""
        return [KVCache() for _ in self.blocks]

    def read(self, ids: Tensor, state: DecodingState, added: Tensor | None = None) -> Tensor:
        """(B, T) -> (B, V)."""
        x = self.token_embedding(ids) + self.position_embedding(state.positions(ids.shape[1]))
        x = x if added is None else x + added
        for block, cache in zip(self.blocks, state.cache, strict=True):
            x = block(x, None, cache)
        return self.logits(x[:, -1])
