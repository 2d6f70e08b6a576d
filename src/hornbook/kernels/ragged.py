"""Decoding of rows at different positions as one batch, which rows join and leave at any step.

Each row has its own position. Keys and values are stored at it, and later positions of the buffer are
masked. A row that has filled its context is read again, as `models/cached.py` describes.

B batch, T positions, H heads, G heads of keys and values, D channels of a head.
"""

from __future__ import annotations

import math
from itertools import groupby
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from hornbook.kernels.tuning import SHORT_CACHE
from hornbook.layers.cache import FIRST_CAPACITY, Compaction, KVCache
from hornbook.layers.convolution import ConvolutionCache
from hornbook.models.base import DecodingState, Window
from hornbook.models.cached import CachedModel

MOST_PADDED = 4  # times as many positions as tokens may be computed where texts are read together
FIRST_ROWS = 8  # capacity of a batch in rows; it doubles whenever it is full


class Positions:
    """Where each row of a batch is, shared by all of its caches.

    rows, index: numbers of rows and their positions, (B,). length: positions that the longest row
    fills with the next token. later: which of them are not part of a row, (length, B) bool.
    """

    def __init__(self, lengths: list[int]) -> None:
        self.index = torch.tensor(lengths, device="cpu")
        self.rows = torch.arange(len(lengths), device="cpu")
        self.length = max(lengths) + 1
        self.later = torch.arange(self.length, device="cpu")[:, None] > self.index


class RaggedKVCache(KVCache):
    """Keys and values of rows at different positions.

    buffer: (2, capacity, rows, G, D), of which the first `n_rows` rows are in use. positions: of the
    step that is computed, set before it.
    """

    positions: Positions

    def __init__(self) -> None:
        super().__init__()
        self.n_rows = 0

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Stores one position of each row and lets it attend to its row.

        q (B, H, 1, D), k and v (B, G, 1, D) -> (B, H, 1, D).
        """
        at = self.positions
        self.reserve(at.length, self.n_rows, k)
        assert self.buffer is not None
        self.buffer[0, at.index, at.rows] = k[:, :, 0]
        self.buffer[1, at.index, at.rows] = v[:, :, 0]
        keys, values = self.buffer[:, : at.length, : self.n_rows].unbind()  # (T, B, G, D)
        T, B, G, D = keys.shape  # noqa: N806
        if T > SHORT_CACHE:
            k, v = keys.permute(1, 2, 0, 3), values.permute(1, 2, 0, 3)
            mask = ~at.later.T[:, None, None]  # (B, 1, 1, T)
            return F.scaled_dot_product_attention(
                q, k, v, attn_mask=mask, enable_gqa=q.shape[1] != G
            )
        q = q.reshape(B, G, -1, D) / math.sqrt(D)  # (B, G, H / G, D)
        scores = (q * keys[:, :, :, None]).sum(-1, keepdim=True)  # (T, B, G, H / G, 1)
        scores = scores.masked_fill_(at.later.view(T, B, 1, 1, 1), -math.inf)
        return (scores.softmax(0) * values[:, :, :, None]).sum(0).view(B, -1, 1, D)

    def reserve(self, length: int, rows: int, like: Tensor) -> None:
        """Makes the buffer large enough. like: keys, (B, G, T, D)."""
        old = self.buffer
        if old is not None and length <= old.shape[1] and rows <= old.shape[2]:
            return
        capacity = [_power_of_two(FIRST_CAPACITY, length), _power_of_two(FIRST_ROWS, rows)]
        if old is not None:
            capacity = [max(new, n) for new, n in zip(capacity, old.shape[1:3], strict=True)]
        self.buffer = like.new_zeros(2, *capacity, like.shape[1], like.shape[3])
        if old is not None:
            self.buffer[:, : old.shape[1], : old.shape[2]] = old

    def adopt(self, cache: KVCache, rows: list[int]) -> None:
        """Takes over what an ordinary cache holds as these rows, the new ones after the last."""
        self.n_rows = max(self.n_rows, rows[-1] + 1)
        if cache.buffer is None:  # of rows that have read nothing
            return
        stored = cache.buffer[:, : cache.length]  # (2, T, B, G, D)
        self.reserve(cache.length, self.n_rows, stored[0].permute(1, 2, 0, 3))
        assert self.buffer is not None
        self.buffer[:, : cache.length, rows] = stored

    def compact(self, compaction: Compaction) -> None:
        """Lets rows leave; the buffer keeps its size."""
        if self.buffer is not None:
            compaction(self.buffer[:, :, : self.n_rows], dim=2)
        self.n_rows = compaction.n


class RaggedState(DecodingState):
    """Rows at different positions, none at first: those of ordinary states join.

    lengths: the position of each row. texts: what it has read. last: the newest token of each, (B,);
    the size of the vocabulary, as in `PairEmbedding`, of rows that have read nothing.
    """

    def __init__(self, model: CachedModel, window: Window) -> None:
        nothing = torch.empty(0, 0, dtype=torch.int64, device="cpu")
        super().__init__(nothing, window=window)
        self.model, self.lengths, self.texts = model, list[int](), list[list[int]]()
        self.last = torch.empty(0, dtype=torch.int64, device="cpu")
        for part in model.empty_cache(nothing):
            self.cache.append(RaggedKVCache() if isinstance(part, KVCache) else part)
        # of keys and values only those of a row's own tokens are taken over; of other caches all
        self.can_pad = not any(isinstance(part, Tensor) for part in self.cache)

    def join(self, state: DecodingState, texts: list[list[int]]) -> None:
        """Appends the rows of an ordinary state, which have read these texts and perhaps padding."""
        first = len(self.lengths)
        newest = [text[-1] if text else self.model.vocab_size for text in texts]
        self.last = torch.cat([self.last, torch.tensor(newest, device="cpu")])
        self.lengths += map(len, texts)
        self.texts += texts
        rows = list(range(first, len(self.lengths)))
        for i, (part, other) in enumerate(zip(self.cache, state.cache, strict=True)):
            if isinstance(part, RaggedKVCache):
                part.adopt(other, rows)
            elif isinstance(part, ConvolutionCache):
                _join_convolutions(part, other, first, len(rows))
            else:
                self.cache[i] = joined(part, other)

    def read_all(self, prompts: list[list[int]]) -> list[int]:
        """Appends rows that have read these texts, of which some may be empty; returns the number of
        the text of each."""
        longest, tokens = max(map(len, prompts)), sum(map(len, prompts))
        if self.can_pad and longest * len(prompts) <= MOST_PADDED * tokens:
            state = self._read([text + [0] * (longest - len(text)) for text in prompts])
            convolved = (part for part in state.cache if isinstance(part, ConvolutionCache))
            self.can_pad = all(part.buffer is None for part in convolved)
            if self.can_pad:
                self.join(state, prompts)
                return list(range(len(prompts)))
        order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
        for _, alike in groupby(order, key=lambda i: len(prompts[i])):
            texts = [prompts[i] for i in alike]
            self.join(self._read(texts), texts)
        return order

    def _read(self, texts: list[list[int]]) -> DecodingState:
        """The state of rows that have read texts of one length."""
        ids = torch.tensor(texts, dtype=torch.int64, device="cpu").view(len(texts), -1)
        state = DecodingState(ids, self.model.empty_cache(ids))
        if ids.shape[1]:
            self.model.read(ids, state)
        return state

    def step(self, ids: Tensor) -> Tensor:
        """Appends one token to each row, (B,) -> the logits after it, (B, V)."""
        model, context = self.model, self.model.context_length
        for text, token in zip(self.texts, ids.tolist(), strict=True):
            text.append(token)
        full = [i for i, length in enumerate(self.lengths) if length == context]
        for i in full:
            self.lengths[i] = 0  # a place to write to; the row is read again below
        positions = Positions(self.lengths)
        for part in self.cache:
            if isinstance(part, RaggedKVCache):
                part.positions = positions
        self.ids, self.last = torch.stack([self.last, ids], dim=1), ids
        self.length: Any = positions.index[:, None]
        logits = model.read(ids[:, None], self)
        self.lengths = [length + 1 for length in self.lengths]
        if full:
            logits[full] = self._read_again(full)
        return logits

    def _read_again(self, rows: list[int]) -> Tensor:
        """Starts rows whose context is full from their newest tokens -> logits, (rows, V)."""
        context = self.model.context_length
        n = context if self.window == "sliding" else max(1, context // 2)
        newest = [self.texts[i][-n:] for i in rows]
        logits, fresh = self.model.start(torch.tensor(newest, device="cpu"), self.window)
        for i, text in zip(rows, newest, strict=True):
            self.texts[i], self.lengths[i] = text, fresh.length
        for part, other in zip(self.cache, fresh.cache, strict=True):
            if isinstance(part, RaggedKVCache):
                part.adopt(other, rows)
            elif isinstance(part, ConvolutionCache):
                if part.buffer is not None:
                    part.buffer[rows] = other.buffer
            else:
                part[rows] = other
        return logits

    def compact(self, compaction: Compaction) -> None:
        """Lets rows leave."""
        self.ids = self.last[:, None].clone()  # all that the next step needs of them
        super().compact(compaction)
        self.last = self.ids[:, 0]
        for hole, mover in zip(compaction.holes.tolist(), compaction.movers.tolist(), strict=True):
            self.lengths[hole], self.texts[hole] = self.lengths[mover], self.texts[mover]
        del self.lengths[compaction.n :], self.texts[compaction.n :]


def joined(part: Any, other: Any) -> Any:
    """Two parts of caches as one, the rows of the second after those of the first."""
    if isinstance(part, Tensor):
        return torch.cat([part, other])
    if isinstance(part, DecodingState):  # of a mixture's component
        join_states(part, other)
    elif isinstance(part, KVCache):
        if part.buffer is not None:
            part.buffer = torch.cat([part.buffer, other.buffer], dim=2)
    elif part.buffer is not None:  # of a convolution
        part.buffer = torch.cat([part.buffer, other.buffer])
    return part


def join_states(state: DecodingState, other: DecodingState) -> None:
    """Appends the rows of a state of the same `signature`."""
    state.ids = torch.cat([state.ids, other.ids])
    state.cache = [joined(*parts) for parts in zip(state.cache, other.cache, strict=True)]


def signature(state: DecodingState) -> tuple[Any, ...]:
    """What two states must have in common to be one: positions, and the shapes of their caches."""
    parts: list[Any] = [state.ids.shape[1], state.length]
    for part in state.cache:
        if isinstance(part, Tensor):
            parts.append(part.shape[1:])
        elif isinstance(part, DecodingState):
            parts.append(signature(part))
        else:
            capacity = None if part.buffer is None else part.buffer.shape[1]
            parts.append((getattr(part, "length", 0), capacity))
    return tuple(parts)


def _join_convolutions(
    part: ConvolutionCache, other: ConvolutionCache, rows: int, new: int
) -> None:
    """The inputs of a convolution of so many rows and new ones, zeros of those that have none."""
    known = part.buffer if part.buffer is not None else other.buffer
    if known is not None:
        before = known.new_zeros(rows, *known.shape[1:]) if part.buffer is None else part.buffer
        after = known.new_zeros(new, *known.shape[1:]) if other.buffer is None else other.buffer
        part.buffer = torch.cat([before, after])


def _power_of_two(least: int, n: int) -> int:
    return max(least, 1 << math.ceil(math.log2(n)))
