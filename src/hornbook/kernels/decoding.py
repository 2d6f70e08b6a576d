"""Decoding: attention of many short rows by sums, and one long text by a traced graph.

The next token of one row reads every weight once and computes little with it. For a model of ten
million parameters, starting its hundred and fifty operations from Python takes as long as reading its
weights; for a smaller one, longer. A traced graph starts them without Python. Its shapes are static:
the whole capacity of a cache is read, later positions are masked, and the position is a tensor.
"""

from __future__ import annotations

import copy
import math
import time
from collections import Counter
from collections.abc import Callable
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from torch.nn import functional as F

from hornbook.kernels.graph import SCRIPTS, TRACE_ERRORS, Scripts, trace
from hornbook.kernels.one_row import piecewise_linears
from hornbook.kernels.tuning import PIECES_PAY, PIECES_TRIES, SHORT_CACHE, STATIC_AFTER
from hornbook.layers.cache import KVCache
from hornbook.models.base import DecodingState, LanguageModel, Window
from hornbook.models.cached import CachedModel
from hornbook.models.mixture import Mixture

Key = tuple[object, ...]  # of weights, and of a cache's shapes: its capacity doubles
Operations = Callable[..., Tensor]


class ShortKVCache(KVCache):
    """Short rows attend by sums: the fused kernel takes 2 to 4 times as long for many of them."""

    def attend_last(self, q: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """q (B, H, 1, D), keys and values (T, B, G, D) -> like q."""
        T, B, G, D = keys.shape  # noqa: N806
        if T > SHORT_CACHE:
            return super().attend_last(q, keys, values)
        q = q.reshape(B, G, -1, D) / math.sqrt(D)  # (B, G, H / G, D)
        scores = (q * keys[:, :, :, None]).sum(-1, keepdim=True)  # (T, B, G, H / G, 1)
        out = (scores.softmax(0) * values[:, :, :, None]).sum(0)
        return out.view(B, -1, 1, D)


class StaticKVCache(KVCache):
    """Writes and attends at a position that is a tensor, with the same operations at each.

    position: (1,) int64. mask: (capacity,), 0 up to the position and -inf after it.
    """

    def __init__(self, position: Tensor, mask: Tensor, buffer: Tensor) -> None:
        super().__init__()
        self.position, self.mask, self.buffer = position, mask.view(1, 1, 1, -1), buffer

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """q (B, H, 1, D), k and v (B, G, 1, D) -> (B, H, 1, D)."""
        assert self.buffer is not None
        self.buffer.index_copy_(1, self.position, torch.stack([k, v]).permute(0, 3, 1, 2, 4))
        keys, values = self.buffer.permute(0, 2, 3, 1, 4).unbind()  # (B, G, capacity, D)
        grouped = q.shape[1] != k.shape[1]
        return F.scaled_dot_product_attention(
            q, keys, values, attn_mask=self.mask, enable_gqa=grouped
        )


class Traces:
    """The traced steps of one model; None where tracing failed."""

    def __init__(self) -> None:
        self.count: Counter[Key] = Counter()
        self.steps: dict[Key, Operations | None] = {}


_traces_of: WeakKeyDictionary[LanguageModel, Traces] = WeakKeyDictionary()


class StaticDecoder:
    """`start` and `step` of a model, faster: one for each text (or batch) that is decoded.

    Single rows on a CPU are decoded by a traced graph, once a model has made `after` steps of the same
    shapes; traced graphs are shared by all decoders of a model. The components of a mixture are decoded
    so, too. The rest is the model's own, with a faster cache. Logits are equal to rounding.
    """

    def __init__(
        self, model: LanguageModel, *, after: int = STATIC_AFTER, scripts: Scripts = SCRIPTS
    ) -> None:
        self.model, self.after, self.scripts = model, after, scripts
        self.traces = _traces_of.setdefault(model, Traces())
        self._weights = _weights_key(model)
        components = model.components if isinstance(model, Mixture) else []
        self._components = [StaticDecoder(m, after=after, scripts=scripts) for m in components]

    def start(self, ids: Tensor, window: Window = "half") -> tuple[Tensor, DecodingState]:
        """`LanguageModel.start`."""
        logits, state = self.model.start(ids, window)
        _use_short_caches(state)
        return logits, state

    def step(self, ids: Tensor, state: DecodingState) -> Tensor:
        """`LanguageModel.step`."""
        if isinstance(self.model, Mixture):
            states = zip(self._components, state.cache, strict=True)
            return self.model.mean([decoder.step(ids, own) for decoder, own in states])
        tensors = _buffers(state)
        operations = self._traced(state, tensors)
        if operations is None:
            logits = self.model.step(ids, state)
            _use_short_caches(state)
            return logits
        state.append(ids)
        position = torch.tensor([state.length], device="cpu")
        logits = operations(state.ids[:, -2:], position, *tensors)
        state.length += 1
        for part in state.cache:
            if isinstance(part, KVCache):
                part.length += 1
        return logits

    def _traced(self, state: DecodingState, tensors: list[Tensor]) -> Operations | None:
        """The next step as a traced graph; None where there is none."""
        full = state.length == self.model.context_length
        if self._weights is None or len(state.ids) != 1 or full or torch.is_grad_enabled():
            return None
        if not tensors or tensors[0].shape[1] <= state.length:  # the cache must grow first
            return None
        traces, key = self.traces, (self._weights, *(t.shape for t in tensors))
        traces.count[key] += 1
        if traces.count[key] <= self.after:
            return None
        if key not in traces.steps:
            traces.steps[key] = None  # meanwhile, for other threads
            traces.steps[key] = self._trace(state, tensors)
        return traces.steps[key]

    @torch.inference_mode(False)
    @torch.no_grad()
    def _trace(self, state: DecodingState, tensors: list[Tensor]) -> Operations | None:
        """The operations of (ids (1, 2) of which the last is read, its position (1,), buffers)."""
        model, capacity = self.model, tensors[0].shape[1]
        assert isinstance(model, CachedModel)

        def read(ids: Tensor, position: Tensor, *tensors: Tensor) -> Tensor:
            later = torch.arange(capacity, device="cpu") > position
            mask = torch.zeros(capacity, dtype=tensors[0].dtype, device="cpu")
            mask = mask.masked_fill(later, -math.inf)
            cache, buffers = list(map(copy.copy, state.cache)), iter(tensors)
            for i, part in enumerate(cache):
                if isinstance(part, KVCache):
                    cache[i] = StaticKVCache(position, mask, next(buffers))
                elif part.buffer is not None:
                    part.buffer = next(buffers)
            return model.read(ids[:, -1:], DecodingState(ids, cache, length=position))

        ids = torch.zeros(1, 2, dtype=torch.int64, device="cpu")
        examples = [ids, torch.tensor([state.length], device="cpu")]
        examples += [t.clone() for t in tensors]
        try:
            graphs = [trace(read, *examples)]
            if torch.get_num_threads() > 1 and not torch.are_deterministic_algorithms_enabled():
                with piecewise_linears(model):
                    graphs.append(trace(read, *examples))
            plain, *pieces = (self.scripts.script(graph, *examples) for graph in graphs)
        except TRACE_ERRORS:
            return None
        if pieces and _seconds(pieces[0], examples) < PIECES_PAY * _seconds(plain, examples):
            return pieces[0]
        return plain


def _seconds(operations: Operations, examples: list[Tensor]) -> float:
    """Of a call: the fastest of several, since other work only adds."""
    seconds = []
    for _ in range(PIECES_TRIES):
        begin = time.perf_counter()
        operations(*examples)
        seconds.append(time.perf_counter() - begin)
    return min(seconds)


def _use_short_caches(state: DecodingState) -> None:
    for part in state.cache:
        if type(part) is KVCache:
            part.__class__ = ShortKVCache
        elif isinstance(part, DecodingState):  # of a mixture's component
            _use_short_caches(part)


def _buffers(state: DecodingState) -> list[Tensor]:
    """The tensors that a step writes to; none for a cache without a static form."""
    buffers = (getattr(part, "buffer", None) for part in state.cache)
    return [buffer for buffer in buffers if buffer is not None]


def _weights_key(model: LanguageModel) -> Key | None:
    """What a traced step depends on besides the values of weights; None where it must not be traced:
    in training, on a GPU, under autocast, with hooks."""
    if (
        not isinstance(model, CachedModel)
        or model.training
        or model.device.type != "cpu"
        or torch.is_autocast_enabled("cpu")
        or any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    ):
        return None
    # a traced graph keeps its weights alive, so no other tensor can have their ids
    weights = (*model.parameters(), *model.buffers())
    return tuple((id(w), w.dtype, w.shape, w.stride()) for w in weights)
