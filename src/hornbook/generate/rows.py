"""Rows of different texts decoded together: they join and leave between any two tokens.

Where a model allows it (`CachedModel.ragged`), all rows are one batch, whatever their lengths
(`kernels/ragged.py`). Of other models those rows are one batch whose states have the same shapes:
all rows of a recurrent network, those with as many tokens of a mixture, nearly all of a window model.

B batch, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from hornbook.kernels import StaticDecoder
from hornbook.kernels.ragged import RaggedState, join_states, signature
from hornbook.layers.cache import Compaction
from hornbook.models.base import DecodingState, LanguageModel, Window
from hornbook.models.cached import CachedModel


@dataclass
class Batch:
    """Rows that a model continues in one call, and their numbers among all rows, (k,) int64."""

    state: DecodingState
    rows: Tensor


class Rows:
    """The rows that a model is continuing. Numbers of rows are 0 to n - 1; see `remove`."""

    def __init__(self, model: LanguageModel, window: Window = "half") -> None:
        self.model, self.window = model.eval(), window
        self.decoder = StaticDecoder(model)
        self.batches: list[Batch] = []
        self.n = 0

    @property
    def ragged(self) -> bool:
        """Whether rows of different lengths are one batch."""
        model = self.model
        return isinstance(model, CachedModel) and model.ragged and model.device.type == "cpu"

    @torch.inference_mode()
    def add(self, prompts: Sequence[Sequence[int]]) -> Tensor:
        """Reads prompts, each from the start of its document or stream, as the rows after the last.

        Returns the logits after each, (prompts, V).
        """
        logits = torch.empty(len(prompts), self.model.vocab_size, device=self.model.device)
        by_length: dict[int, list[int]] = {}
        for i, prompt in enumerate(prompts):
            by_length.setdefault(len(prompt), []).append(i)
        for chosen in by_length.values():
            ids = torch.tensor([list(prompts[i]) for i in chosen], device=self.model.device)
            found, state = self.decoder.start(ids, self.window)
            logits[chosen] = found.float()
            self.batches.append(Batch(state, torch.tensor(chosen) + self.n))
        self.n += len(prompts)
        self._join()
        return logits

    @torch.inference_mode()
    def step(self, tokens: Tensor) -> Tensor:
        """Appends one token to each row, (n,) -> the logits after it, (n, V)."""
        logits = torch.empty(self.n, self.model.vocab_size, device=self.model.device)
        for batch in self.batches:
            ids, state = tokens[batch.rows], batch.state
            ragged = isinstance(state, RaggedState)
            found = state.step(ids) if ragged else self.decoder.step(ids, state)
            logits[batch.rows] = found.float()
        self._join()
        return logits

    @torch.inference_mode()
    def remove(self, rows: Sequence[int]) -> Compaction:
        """Lets rows leave; the last of those that stay take their numbers, as the result says."""
        stay = torch.ones(self.n, dtype=torch.bool)
        stay[list(rows)] = False
        compaction = Compaction.of(stay)
        renamed = torch.arange(self.n)
        renamed[compaction.movers] = compaction.holes
        left = []
        for batch in self.batches:
            own = stay[batch.rows]
            if not own.all():
                smaller = Compaction.of(own)
                batch.state.compact(smaller)
                batch.rows = smaller(batch.rows.clone())
            batch.rows = renamed[batch.rows]
            if len(batch.rows):
                left.append(batch)
        self.batches, self.n = left, compaction.n
        return compaction

    def _join(self) -> None:
        """Makes one batch of those that can be one."""
        known: dict[object, Batch] = {}
        for batch in self.batches:
            key = None if self.ragged else signature(batch.state)
            if key not in known:
                known[key] = batch
                continue
            first = known[key]
            if not self.ragged:
                join_states(first.state, batch.state)
            else:
                if not isinstance(first.state, RaggedState):
                    assert isinstance(self.model, CachedModel)
                    first.state = RaggedState(self.model, first.state)
                first.state.join(batch.state)
            first.rows = torch.cat([first.rows, batch.rows])
        self.batches = list(known.values())
