"""The notes' hierarchical network: neighbors are joined two by two, level by level.

A window of 2^k tokens becomes one vector in k levels of FlattenConsecutive(2), Linear, BatchNorm,
tanh. The same function of a whole sequence is a stack of causal convolutions of width 2, dilated
by 1, 2, 4, ...: each position is joined with the one 2^level before it, and what neighboring
windows share is computed once. `next_logits` is the first form and `forward` the second.

With the notes' settings (8 tokens, 24 channels, 128 hidden, 27 tokens in all) it has their 76,579
parameters. van den Oord et al. 2016 (without its gates and skips); the notes, "WaveNet".

B batch, T positions, C channels, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from hornbook.config import ModelConfig
from hornbook.layers.basic import (
    Embedding,
    FlattenConsecutive,
    Linear,
    Sequential,
    Tanh,
    build_norm,
    calibrate_batchnorm,
)
from hornbook.layers.documents import document_starts, last_window
from hornbook.models.base import DecodingState, LanguageModel, Window


class WaveNetConfig(ModelConfig):
    """Sizes of the notes' WaveNet."""

    name: Literal["wavenet"] = "wavenet"
    context_length: int = Field(8, gt=1, le=1 << 24, description="tokens it sees, a power of 2")
    n_embd: int = Field(24, gt=0, description="channels of an embedding")
    n_hidden: int = Field(128, gt=0, description="units of a level")
    norm: Literal["none", "batchnorm", "layernorm"] = Field(
        "batchnorm", description="before each tanh; with batchnorm levels have no bias"
    )
    momentum: float = Field(
        0.1, gt=0, le=1, description="weight of the newest batch in batchnorm's running statistics"
    )
    statistics: Literal["running", "calibrated"] = Field(
        "running", description="of batchnorm in evaluation; calibrated: over the training part"
    )
    residual: bool = Field(
        False, description="each level adds its later input to its output (not in the notes)"
    )
    dropout: float = Field(0.0, ge=0, lt=1, description="on each level")

    @model_validator(mode="after")
    def _context_halves(self) -> Self:
        if self.context_length & (self.context_length - 1):
            raise ValueError("context_length must be a power of 2 (8, 16, 32 ...)")
        return self


class WaveNet(LanguageModel):
    """Embedding, log2(context) levels, a last layer.

    In training BatchNorm's statistics are over the batch as computed: by windows every pair of every
    window, as in the notes; by sequences every position once.
    """

    sliding = True
    examples = "windows"
    fixed_step = True

    def __init__(self, config: WaveNetConfig, vocab_size: int, end_id: int | None) -> None:
        super().__init__(config, vocab_size, end_id, config.context_length)
        self.statistics, self.residual = config.statistics, config.residual
        self.embedding = Embedding(vocab_size, config.n_embd)
        self.flatten = FlattenConsecutive(2)
        self.levels = nn.ModuleList()
        width, hidden = config.n_embd, config.n_hidden
        for _ in range(config.context_length.bit_length() - 1):
            layers: list[nn.Module] = [Linear(2 * width, hidden, config.norm != "batchnorm")]
            layers += [*build_norm(config.norm, hidden, config.momentum), Tanh()]
            layers += [nn.Dropout(config.dropout)] if config.dropout else []
            self.levels.append(Sequential(layers))
            width = hidden
        self.head = Linear(width, vocab_size)
        with torch.no_grad():
            self.head.weight.mul_(0.1)  # begins unsure, as in the notes

    @property
    def output(self) -> nn.Module:
        """The head."""
        return self.head

    def forward(self, ids: Tensor) -> Tensor:
        """(B, T) -> (B, T, V): dilated convolutions.

        Before a document its first id is repeated. Such a position has the value of the start itself,
        at every level, so the start is used in its place.
        """
        starts = document_starts(ids, -1 if self.end_id is None else self.end_id)
        positions = torch.arange(ids.shape[1], device=ids.device)
        x = self.embedding(ids)  # (B, T, C)
        for level, join in enumerate(self.levels):
            before = torch.maximum(positions - 2**level, starts)
            earlier = x.gather(1, before[..., None].expand(-1, -1, x.shape[-1]))
            joined = join(torch.cat([earlier, x], dim=-1))
            if self.residual and level:
                joined = joined + x
            x = joined
        logits: Tensor = self.head(x)
        return logits

    def next_logits(self, ids: Tensor) -> Tensor:
        """(B, T) -> (B, V): the last window, joined two by two as in the notes."""
        return self.window_logits(last_window(ids, self.context_length, self.end_id))

    def window_logits(self, windows: Tensor) -> Tensor:
        """(B, context) -> (B, V)."""
        x = self.embedding(windows)  # (B, context, C)
        for level, join in enumerate(self.levels):
            joined = join(self.flatten(x))  # half as many positions, at last none: (B, C)
            if self.residual and level:
                joined = joined + x[:, 1::2].reshape(joined.shape)
            x = joined
        logits: Tensor = self.head(x)
        return logits

    def start(self, ids: Tensor, window: Window = "half") -> tuple[Tensor, DecodingState]:
        """The last `context_length` tokens, one by one."""
        ids = ids[:, -self.context_length :]
        state = DecodingState(ids[:, :0])
        for column in ids.unbind(1):
            logits = self.step(column, state)
        return logits, state

    def step(self, ids: Tensor, state: DecodingState) -> Tensor:
        """One position of each level; its cache is a ring of 2^level inputs, (B, 2^level, C)."""
        x = self.embedding(ids)  # (B, C)
        for level, join in enumerate(self.levels):
            if state.length == 0:  # before the start the start is repeated
                state.cache.append(x[:, None].repeat(1, 2**level, 1))
            slot = state.length % 2**level
            earlier = state.cache[level][:, slot].clone()
            state.cache[level][:, slot] = x
            joined = join(torch.cat([earlier, x], dim=-1))
            if self.residual and level:
                joined = joined + x
            x = joined
        state.length += 1
        logits: Tensor = self.head(x)
        return logits

    def calibrate(
        self,
        windows: Callable[[], Iterable[Tensor]],
        held_back: Callable[[], Iterable[tuple[Tensor, Tensor]]] = tuple,
    ) -> None:
        """Measures BatchNorm's statistics over the training part, if the settings say so."""
        if self.statistics == "calibrated":
            calibrate_batchnorm(self, self.window_logits, windows)
