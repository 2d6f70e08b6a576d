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
        self.model, self.window, self.device = model.eval(), window, model.device
        self.decoder = StaticDecoder(model)
        self.batches: list[Batch] = []
        self.n = 0
        self.ragged = isinstance(model, CachedModel) and model.ragged and self.device.type == "cpu"

    @torch.inference_mode()
    def step(self, tokens: Tensor, prompts: Sequence[Sequence[int]] = ()) -> Tensor:
        """Appends one token to each row, (n,), and begins rows after the last with these prompts, each
        from the start of its document or stream, at least one token long.

        Returns the logits after each, (n + prompts, V) float32.
        """
        total = self.n + len(prompts)
        state = self.batches[0].state if self.batches else None
        if self.ragged and (total > 1 or isinstance(state, RaggedState)):
            logits = self._step_ragged(tokens, prompts)
        else:
            logits = torch.empty(total, self.model.vocab_size, device=self.device)
            for batch in self.batches:
                found = self.decoder.step(tokens[batch.rows], batch.state)
                logits[batch.rows] = found.float()
            self._start(prompts, logits)
            self._join()
        self.n = total
        return logits

    def _step_ragged(self, tokens: Tensor, prompts: Sequence[Sequence[int]]) -> Tensor:
        """All rows in one batch; the last token of a prompt is read together with theirs."""
        assert isinstance(self.model, CachedModel)
        state = self.batches[0].state if self.batches else None
        rows = self.batches[0].rows if self.batches else torch.arange(0)
        if not isinstance(state, RaggedState):
            alone, state = state, RaggedState(self.model, self.window)
            if alone is not None:
                state.join(alone, alone.ids.tolist())
        if prompts:
            newest = [list(prompt[-self.model.context_length :]) for prompt in prompts]
            order = state.read_all([prompt[:-1] for prompt in newest])
            rows = torch.cat([rows, torch.tensor(order) + self.n])
            last = torch.tensor([prompt[-1] for prompt in newest], device=self.device)
            tokens = torch.cat([tokens, last])
        self.batches = [Batch(state, rows)]
        logits = torch.empty(len(tokens), self.model.vocab_size)
        logits[rows] = state.step(tokens[rows]).float()
        return logits

    def _start(self, prompts: Sequence[Sequence[int]], logits: Tensor) -> None:
        """Reads prompts as batches of their own, those of one length together."""
        by_length: dict[int, list[int]] = {}
        for i, prompt in enumerate(prompts):
            by_length.setdefault(len(prompt), []).append(i)
        for chosen in by_length.values():
            ids = torch.tensor([list(prompts[i]) for i in chosen], device=self.device)
            rows = torch.tensor(chosen) + self.n
            found, state = self.decoder.start(ids, self.window)
            logits[rows] = found.float()
            self.batches.append(Batch(state, rows))

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
        """Makes one batch of those whose states have the same shapes."""
        known: dict[object, Batch] = {}
        for batch in self.batches:
            first = known.setdefault(signature(batch.state), batch)
            if first is not batch:
                join_states(first.state, batch.state)
                first.rows = torch.cat([first.rows, batch.rows])
        self.batches = list(known.values())
