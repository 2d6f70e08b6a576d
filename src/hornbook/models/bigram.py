"""The neural bigram of the notes: one-hot times W, which is a row of W.

logits = W[id]; nothing else is seen. Trained, W becomes the logarithm of the counts. B batch, T
positions, V vocabulary.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hornbook.config import ModelConfig
from hornbook.models.base import LanguageModel

CHUNK = 4096  # rows per lookup


class BigramConfig(ModelConfig):
    """A bigram has nothing to set."""

    name: Literal["bigram"] = "bigram"


class Bigram(LanguageModel):
    """A (V, V) table of logits, from N(0, 1) as in the notes."""

    sliding = True

    def __init__(self, config: BigramConfig, vocab_size: int, end_id: int | None) -> None:
        super().__init__(config, vocab_size, end_id, context_length=1)
        self.weight = nn.Parameter(torch.randn(vocab_size, vocab_size))

    @property
    def output(self) -> nn.Module:
        """The table."""
        return self

    def forward(self, ids: Tensor) -> Tensor:
        """(B, T) -> (B, T, V)."""
        # The gradient of a lookup adds its rows one by one in float32: over 228,146 of them the
        # notes' figures would be off in the fifth digit. Chunks are summed apart, then together;
        # not by weight[chunk], whose gradient several threads add up in no fixed order.
        rows = [F.embedding(chunk, self.weight) for chunk in torch.split(ids.flatten(), CHUNK)]
        logits = torch.cat(rows) if len(rows) > 1 else rows[0]  # a copy less
        return logits.view(*ids.shape, self.vocab_size)
