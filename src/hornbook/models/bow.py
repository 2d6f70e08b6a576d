"""A bag of words: each position sees the plain average of its document so far.

Attention with all weights equal, the notes' versions 1 to 3 of a weighted aggregation; the model
around it is makemore's: embeddings of token and position, the average added, a small MLP added.
The average is the same in any order, so it knows the last token, the set of earlier ones and their
number.

B batch, T positions, C channels (n_embd), V vocabulary.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from hornbook.config import ModelConfig
from hornbook.layers.aggregation import average
from hornbook.layers.documents import document_starts
from hornbook.models.base import DecodingState
from hornbook.models.cached import CachedModel


class BowConfig(ModelConfig):
    """Sizes of a bag of words."""

    name: Literal["bow"] = "bow"
    context_length: int = Field(64, gt=0, le=1 << 24, description="longest sequence, in tokens")
    n_embd: int = Field(64, gt=0, description="channels")
    n_hidden: int = Field(256, gt=0, description="units of the MLP")
    dropout: float = Field(0.0, ge=0, lt=1, description="on average and MLP")


class Bow(CachedModel):
    """Embeddings, their average so far, a small MLP, a head."""

    def __init__(self, config: BowConfig, vocab_size: int, end_id: int | None) -> None:
        super().__init__(config, vocab_size, end_id, config.context_length)
        n_embd, n_hidden = config.n_embd, config.n_hidden
        self.token_embedding = nn.Embedding(vocab_size, n_embd)
        self.position_embedding = nn.Embedding(config.context_length, n_embd)
        self.mlp = nn.Sequential(
            nn.Linear(n_embd, n_hidden), nn.Tanh(), nn.Linear(n_hidden, n_embd)
        )
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(n_embd, vocab_size)
        nn.init.zeros_(self.head.weight)  # begins uniform
        nn.init.zeros_(self.head.bias)

    @property
    def output(self) -> nn.Module:
        """The head."""
        return self.head

    def forward(self, ids: Tensor) -> Tensor:
        """(B, T) -> (B, T, V)."""
        self.check_length(ids)
        starts = document_starts(ids, -1 if self.end_id is None else self.end_id)
        mask = (starts[:, :, None] == starts[:, None, :]).tril()  # (B, T, T)
        positions = torch.arange(ids.shape[1], device=ids.device) - starts
        x = self.token_embedding(ids) + self.position_embedding(positions)  # (B, T, C)
        x = x + self.dropout(average(x, mask))
        x = x + self.dropout(self.mlp(x))
        logits: Tensor = self.head(x)
        return logits

    def empty_cache(self, ids: Tensor) -> list[Any]:
        """The sum of no embeddings, (B, C)."""
        weight = self.token_embedding.weight
        return [weight.new_zeros(ids.shape[0], weight.shape[1])]

    def read(self, ids: Tensor, state: DecodingState) -> Tensor:
        """(B, T) -> (B, V): the average is the sum so far over the number of positions."""
        positions = state.positions(ids.shape[1])
        x = self.token_embedding(ids) + self.position_embedding(positions)  # (B, T, C)
        state.cache[0] = state.cache[0] + x.sum(1)
        x = x[:, -1] + state.cache[0] / (state.length + ids.shape[1])
        logits: Tensor = self.head(x + self.mlp(x))
        return logits
