"""Embeddings of pairs of tokens: a bigram's statistics, added to a model at its first layer.

B batch, T positions, C channels, V vocabulary.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class PairEmbedding(nn.Embedding):
    """An embedding of each token with the one before it in its document, (B, T) -> (B, T, C).

    One row for each of the V * V pairs, and V for tokens that begin a document or row.
    """

    def __init__(self, vocab_size: int, dim: int, end_id: int | None) -> None:
        super().__init__((vocab_size + 1) * vocab_size, dim)
        self.vocab_size, self.end_id = vocab_size, end_id

    def forward(self, ids: Tensor, before: Tensor | None = None) -> Tensor:
        """before: the token before each row, (B,); None: nothing."""
        nothing = torch.full_like(ids[:, :1], self.vocab_size)
        first = nothing if before is None else before[:, None]
        previous = torch.cat([first, ids[:, :-1]], dim=1)
        if self.end_id is not None:  # it starts a document
            previous = previous.masked_fill(ids == self.end_id, self.vocab_size)
        return super().forward(previous * self.vocab_size + ids)
