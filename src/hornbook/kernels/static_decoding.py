"""Decoding of one long text by a traced graph of static shapes.

The next token of one row reads every weight once and computes little with it. For a model of ten
million parameters, starting its hundred and fifty operations from Python takes as long as reading its
weights; for a smaller one, longer. A traced graph starts them without Python. Its shapes are static:
the whole capacity of a cache is read, later positions are masked, and the position is a tensor.
"""

from __future__ import annotations

import copy
import math
from collections import Counter
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from torch.nn import functional as F

from hornbook.kernels.decoding_cache import use_fast_cache
from hornbook.kernels.graph import SCRIPTS, TRACE_ERRORS, Scripts, trace
from hornbook.kernels.tuning import STATIC_AFTER
from hornbook.layers.cache import KVCache
from hornbook.layers.convolution import ConvolutionCache
from hornbook.models.base import DecodingState, LanguageModel
from hornbook.models.cached import CachedModel
from hornbook.models.mixture import Mixture

ModelVersion = tuple[object, ...]
Key = tuple[ModelVersion, tuple[torch.Size, ...]]  # capacities double, so there are several shapes


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


class StaticState(DecodingState):
    """A state whose next position is a tensor (1,)."""

    def __init__(self, ids: Tensor, cache: list[Any], position: Tensor) -> None:
        super().__init__(ids, cache, length=1)
        self._position = position

    def positions(self, n: int) -> Tensor:
        """The position; n is 1."""
        return self._position


class StaticStep:
    """The traced operations of one step of a model, for caches of one shape."""

    def __init__(self, model: CachedModel, operations: Callable[..., Tensor]) -> None:
        self._operations = operations
        self._weights = [*model.parameters(), *model.buffers()]
        self._pointers = [w.data_ptr() for w in self._weights]

    def __call__(self, ids: Tensor, position: int, tensors: list[Tensor]) -> Tensor | None:
        """The logits (1, V) after ids (1, 2), whose last is at `position`; writes to the cache.

        None where a weight has moved in memory: the operations use views of the old.
        """
        if [w.data_ptr() for w in self._weights] != self._pointers:
            return None
        return self._operations(ids, torch.full((1,), position), *tensors)


class StaticSteps:
    """The traced steps of one model; None where tracing failed."""

    def __init__(self) -> None:
        self.count: Counter[Key] = Counter()
        self.steps: dict[Key, StaticStep | None] = {}


_steps_of: WeakKeyDictionary[CachedModel, StaticSteps] = WeakKeyDictionary()


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
        self._version = model_version(model) if isinstance(model, CachedModel) else None
        components = model.components if isinstance(model, Mixture) else []
        self._components = [StaticDecoder(m, after=after, scripts=scripts) for m in components]

    @property
    def static_steps(self) -> StaticSteps:
        """What has been traced of the model."""
        assert isinstance(self.model, CachedModel)
        return _steps_of.setdefault(self.model, StaticSteps())

    def start(self, ids: Tensor) -> tuple[Tensor, DecodingState]:
        """`LanguageModel.start`."""
        logits, state = self.model.start(ids)
        use_fast_cache(state)
        return logits, state

    def step(self, ids: Tensor, state: DecodingState) -> Tensor:
        """`LanguageModel.step`."""
        if isinstance(self.model, Mixture):
            states = zip(self._components, state.cache, strict=True)
            return self.model.mean([decoder.step(ids, own) for decoder, own in states])
        logits = self._static_step(ids, state)
        if logits is None:
            logits = self.model.step(ids, state)
            use_fast_cache(state)
        return logits

    def _static_step(self, ids: Tensor, state: DecodingState) -> Tensor | None:
        """The logits by a traced graph; None, and nothing is changed, where there is none."""
        full = state.length == self.model.context_length
        if self._version is None or len(ids) != 1 or full or torch.is_grad_enabled():
            return None
        tensors = cache_tensors(state)
        if not tensors or tensors[0].shape[1] <= state.length:  # the cache must grow first
            return None
        traced, key = self.static_steps, (self._version, tuple(t.shape for t in tensors))
        traced.count[key] += 1
        if traced.count[key] <= self.after:
            return None
        last = torch.cat([state.ids[:, -1:], ids[:, None]], dim=1)
        if key not in traced.steps:
            traced.steps[key] = None  # meanwhile, for other threads
            traced.steps[key] = self._trace(last, state, tensors)
        step = traced.steps[key]
        logits = None if step is None else step(last, state.length, tensors)
        if logits is None:
            return None
        state.append(ids)
        state.length += 1
        for part in state.cache:
            if isinstance(part, KVCache):
                part.length += 1
        return logits

    @torch.inference_mode(False)
    @torch.no_grad()
    def _trace(self, ids: Tensor, state: DecodingState, tensors: list[Tensor]) -> StaticStep | None:
        """The operations of a step, traced at the position before; None unless they equal `read`."""
        model, capacity = self.model, tensors[0].shape[1]
        assert isinstance(model, CachedModel)

        def read(ids: Tensor, position: Tensor, *tensors: Tensor) -> Tensor:
            mask = torch.where(torch.arange(capacity) <= position, 0.0, -math.inf)
            cache = static_cache(state, position, mask.to(tensors[0].dtype), list(tensors))
            return model.read(ids[:, -1:], StaticState(ids, cache, position))

        def copies() -> list[Tensor]:
            return [t.clone() for t in tensors]

        ids, position = ids.clone(), torch.tensor([state.length])
        examples = (ids + 1) % model.vocab_size, position - 1
        try:
            graph = trace(read, *examples, *copies())
            operations = self.scripts.script(graph, *examples, *copies())
            found = operations(ids, position, *copies())
        except TRACE_ERRORS:
            return None
        with torch.inference_mode():
            other = copy.deepcopy(state)
            other.append(ids[:, -1])
            expected = model.read(ids[:, -1:], other)
        bound = max(1e-4, 4 * torch.finfo(expected.dtype).eps)
        same = torch.allclose(found, expected, bound, bound)
        return StaticStep(model, operations) if same else None


def cache_tensors(state: DecodingState) -> list[Tensor]:
    """The tensors that a step writes to; none where a part of the cache has no static form."""
    tensors = []
    for part in state.cache:
        if isinstance(part, KVCache):
            tensors.append(part.buffer)
        elif isinstance(part, ConvolutionCache):
            tensors.append(part.last)
        else:
            return []
    return [t for t in tensors if t is not None]


def static_cache(
    state: DecodingState, position: Tensor, mask: Tensor, tensors: list[Tensor]
) -> list[Any]:
    """The cache of a state in static form, in `tensors` like those of `cache_tensors`."""
    cache: list[Any] = []
    rest = iter(tensors)
    for part in state.cache:
        if isinstance(part, KVCache):
            cache.append(StaticKVCache(position, mask, next(rest)))
        else:
            cache.append(ConvolutionCache())
            cache[-1].last = None if part.last is None else next(rest)
    return cache


def model_version(model: CachedModel) -> ModelVersion | None:
    """What the operations of a model depend on besides the values of its weights.

    None where they must not be traced: in training, on a GPU, under autocast, with hooks.
    """
    modules = list(model.modules())
    if (
        model.training
        or model.device.type != "cpu"
        or torch.is_grad_enabled()
        or torch.is_autocast_enabled("cpu")
        or any(m._forward_hooks or m._forward_pre_hooks for m in modules)
    ):
        return None
    # a traced graph keeps its weights and their memory alive, so no other tensor can have their ids
    tensors = (*model.parameters(), *model.buffers())
    weights = tuple((id(w), w.dtype, w.data_ptr(), w.shape, w.stride()) for w in tensors)
    return (weights, tuple((id(m), type(m)) for m in modules), torch.get_num_threads())
