"""The notes' GPT (the GPT-2 form): learned positions, pre-LayerNorm, ReLU or GELU, dropout.

With the notes' settings (6 layers, 6 heads, 384 channels, context 256, 65 symbols) it has their
10,788,929 parameters: queries, keys and values without bias, the rest and the head with one.
One product for queries, keys and values, and the fused attention of PyTorch, in place of the notes'
loop over heads; the function is the same. Radford et al. 2019; the notes, "GPT".
"""

from __future__ import annotations

from typing import Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from hornbook.config import ModelConfig
from hornbook.layers.attention import CausalAttention, document_mask, merge_heads, split_heads
from hornbook.layers.cache import KVCache
from hornbook.layers.documents import document_starts
from hornbook.layers.dropout import Dropout
from hornbook.layers.linear import Linear
from hornbook.models.base import State, check_divides
from hornbook.models.cached import CachedModel


class GPTConfig(ModelConfig):
    """Sizes of the notes' GPT."""

    name: Literal["gpt2"] = "gpt2"
    context_length: int = Field(256, gt=0, le=1 << 24, description="longest sequence, in tokens")
    n_layer: int = Field(6, gt=0, le=512, description="blocks")
    n_head: int = Field(6, gt=0, description="attention heads")
    n_embd: int = Field(384, gt=0, description="channels")
    dropout: float = Field(0.2, ge=0, lt=1, description="on the residual branches")
    attention_dropout: float = Field(0.0, ge=0, lt=1, description="on the attention weights")
    activation: Literal["relu", "gelu"] = Field("relu", description="of the hidden layer")
    head_std: float = Field(
        0.01, ge=0, description="spread of the head's first weights (the notes: 0.02)"
    )

    @model_validator(mode="after")
    def _heads_divide(self) -> Self:
        check_divides(self, "n_head", "n_embd")
        return self


class CausalSelfAttention(nn.Module):
    """Every place looks at what is before it, in `n_head` ways at once."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.n_head = config.n_head
        self.qkv = Linear(config.n_embd, 3 * config.n_embd, bias=False)
        self.proj = Linear(config.n_embd, config.n_embd)
        self.attend = CausalAttention(config.attention_dropout)

    def forward(self, x: Tensor, mask: Tensor | None, cache: KVCache | None = None) -> Tensor:
        """(B, T, C) -> (B, T, C)."""
        q, k, v = (split_heads(y, self.n_head) for y in self.qkv(x).chunk(3, dim=-1))
        if cache is not None:
            y = cache.attend(q, k, v)
        else:
            y = self.attend(q, k, v, mask)
        out: Tensor = self.proj(merge_heads(y))
        return out


class MLP(nn.Sequential):
    """Each place thinks by itself: (B, T, C) -> (B, T, 4C) -> (B, T, C)."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__(
            Linear(config.n_embd, 4 * config.n_embd),
            nn.ReLU() if config.activation == "relu" else nn.GELU(),
            Linear(4 * config.n_embd, config.n_embd),
        )


class Block(nn.Module):
    """Communication, then computation, each added to what went in."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.ln1 = nn.LayerNorm(config.n_embd)
        self.attn = CausalSelfAttention(config)
        self.ln2 = nn.LayerNorm(config.n_embd)
        self.mlp = MLP(config)
        self.dropout = Dropout(config.dropout)

    def forward(self, x: Tensor, mask: Tensor | None, cache: KVCache | None = None) -> Tensor:
        """(B, T, C) -> (B, T, C)."""
        x = self.dropout(self.attn(self.ln1(x), mask, cache), x)
        out: Tensor = self.dropout(self.mlp(self.ln2(x)), x)
        return out


class GPT2(CachedModel):
    """Embeddings of symbol and position, blocks, a last LayerNorm, a head."""

    def __init__(self, config: GPTConfig, vocab_size: int, end_id: int | None) -> None:
        super().__init__(config, vocab_size, end_id, config.context_length)
        self.token_embedding = nn.Embedding(vocab_size, config.n_embd)
        self.position_embedding = nn.Embedding(config.context_length, config.n_embd)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.n_layer))
        self.ln_f = nn.LayerNorm(config.n_embd)
        self.head = Linear(config.n_embd, vocab_size)
        self.init_weights(config.head_std)

    def init_weights(self, head_std: float) -> None:
        """As in the notes, but for a head half as confident where nothing else is asked for: with
        their 0.02 the first loss lies 0.08 to 0.15 above that of a uniform guess, at their size.

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
        nn.init.normal_(self.head.weight, std=head_std)

    @property
    def output(self) -> nn.Module:
        """The head."""
        return self.head

    def forward(self, ids: Tensor) -> Tensor:
        """(B, T) -> (B, T, V)."""
        self.check_length(ids)
        places, mask = torch.arange(ids.shape[1], device=ids.device), None
        if self.end_id is not None:
            starts = document_starts(ids, self.end_id)
            places, mask = places - starts, document_mask(starts)
        x = self.token_embedding(ids) + self.position_embedding(places)  # (B, T, C)
        for block in self.blocks:
            x = block(x, mask)
        logits: Tensor = self.head(self.ln_f(x))
        return logits

    def empty(self, ids: Tensor) -> list[KVCache]:
        """One cache a block."""
        return [KVCache() for _ in self.blocks]

    def read(self, ids: Tensor, state: State) -> Tensor:
        """(B, T) -> (B, V)."""
        x = self.token_embedding(ids) + self.position_embedding(state.places(ids.shape[1]))
        for block, cache in zip(self.blocks, state.kept, strict=True):
            x = block(x, None, cache)
        logits: Tensor = self.head(self.ln_f(x[:, -1]))
        return logits
