"""Recurrent networks: RNN, LSTM and GRU, as in makemore's list, one model with three cells.

A token's embedding changes the state, a head computes the logits from the state. The state is reset
at the start of each document. Mikolov et al. 2010; for the cells see `layers/recurrent.py`.

B batch, T time, C channels (n_embd), V vocabulary.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from hornbook.config import ModelConfig
from hornbook.layers.recurrent import CELLS, Recurrent
from hornbook.models.base import DecodingState, LanguageModel, Window


class RNNConfig(ModelConfig):
    """Sizes of a recurrent network; its name chooses the cell."""

    name: Literal["rnn", "lstm", "gru"] = "rnn"
    context_length: int = Field(64, gt=0, le=1 << 24, description="longest sequence, in tokens")
    n_embd: int = Field(64, gt=0, description="channels of an embedding")
    n_hidden: int = Field(128, gt=0, description="units of the state")
    n_layer: int = Field(1, gt=0, le=512, description="layers")
    dropout: float = Field(0.0, ge=0, lt=1, description="on the output of each layer")


class RNN(LanguageModel):
    """Embedding, recurrent layers, a head."""

    def __init__(self, config: RNNConfig, vocab_size: int, end_id: int | None) -> None:
        super().__init__(config, vocab_size, end_id, config.context_length)
        cell, hidden = CELLS[config.name], config.n_hidden
        self.embedding = nn.Embedding(vocab_size, config.n_embd)
        self.layers = nn.ModuleList(
            cell(hidden if i else config.n_embd, hidden) for i in range(config.n_layer)
        )
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(hidden, vocab_size)
        nn.init.zeros_(self.head.weight)  # begins uniform
        nn.init.zeros_(self.head.bias)

    def states(self, ids: Tensor) -> Tensor:
        """The outputs of the last layer, (B, T) -> (B, T, hidden)."""
        self.check_length(ids)
        x: Tensor = self.embedding(ids)  # (B, T, C)
        keep = x.new_ones(ids.shape)
        if self.end_id is not None:
            keep = (ids != self.end_id).to(x.dtype)
        for layer in self.layers:
            x = self.dropout(layer(x, keep))
        return x

    @property
    def output(self) -> nn.Module:
        """The head."""
        return self.head

    def forward(self, ids: Tensor) -> Tensor:
        """(B, T) -> (B, T, V)."""
        logits: Tensor = self.head(self.states(ids))
        return logits

    def next_logits(self, ids: Tensor) -> Tensor:
        """(B, T) -> (B, V)."""
        logits: Tensor = self.head(self.states(ids)[:, -1])
        return logits

    def start(self, ids: Tensor, window: Window = "half") -> tuple[Tensor, DecodingState]:
        """Reads whole rows, token by token from a state of zeros: no context bounds it."""
        h = self.head.weight.new_zeros(len(ids), self.head.in_features)
        state = DecodingState(ids[:, :0], [h] * (2 * len(self.layers)))
        for column in ids.unbind(1):
            logits = self.step(column, state)
        return logits, state

    def step(self, ids: Tensor, state: DecodingState) -> Tensor:
        """Updates the state; its cache is h and the memory c of each layer, (B, hidden) each."""
        x = self.embedding(ids)  # (B, C)
        for i, layer in enumerate(self.layers):
            assert isinstance(layer, Recurrent)
            x, c = layer.step(layer.input(x), state.cache[2 * i], state.cache[2 * i + 1])
            state.cache[2 * i : 2 * i + 2] = x, c
        logits: Tensor = self.head(x)
        return logits
