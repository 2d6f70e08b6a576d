"""One text, place by place, by operations that were recorded once (`recording.py`).

The next place of one row reads every weight once and computes little with it. Of a model of ten million
parameters, starting its hundred and fifty operations from Python takes as long as reading its weights;
of a smaller one, longer. Recording them costs as much as some hundred places, hence `AFTER`.
"""

from __future__ import annotations

import copy
import math
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from hornbook.kernels.graph import CANNOT, record
from hornbook.models.base import State, Version

if TYPE_CHECKING:
    from hornbook.models.cached import CachedModel

AFTER = 400  # places that a model reads one by one before that is recorded


class Run:
    """A recording. None where a weight has other memory since: it has kept views of the old."""

    def __init__(self, model: CachedModel, operations: Callable[..., Tensor]) -> None:
        self._operations = operations
        self._weights = [*model.parameters(), *model.buffers()]
        self._where = self._pointers()

    def _pointers(self) -> list[int]:
        return [w.data_ptr() for w in self._weights]

    def __call__(self, ids: Tensor, place: int, tensors: list[Tensor]) -> Tensor | None:
        """The logits after ids (1, T), whose last stands at a place, (1, V)."""
        if self._pointers() != self._where:
            return None
        return self._operations(ids, torch.full((1,), place), *tensors)


class PlacedState(State):
    """A state whose next place is named by a tensor (1,)."""

    def __init__(self, ids: Tensor, place: Tensor) -> None:
        super().__init__(ids, length=1)
        self._place = place

    def places(self, n: int) -> Tensor:
        """The place that is named; n is 1."""
        return self._place


Key = tuple[Version, tuple[torch.Size, ...]]  # room doubles, so there are several shapes


class Recordings:
    """What is recorded of one model."""

    def __init__(self) -> None:
        self.count: Counter[Key] = Counter()
        self.runs: dict[Key, Run | None] = {}


_recordings: WeakKeyDictionary[CachedModel, Recordings] = WeakKeyDictionary()


def version_of(model: CachedModel) -> Version | None:
    """What a model's operations depend on besides the values of its weights.

    None where they are not to be recorded: in training, on a GPU, under autocast, with hooks.
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
    # a recording keeps its weights and their memory, so neither is given to others
    kept = (*model.parameters(), *model.buffers())
    weights = tuple((id(w), w.dtype, w.data_ptr(), w.shape, w.stride()) for w in kept)
    return (weights, tuple(map(id, modules)), torch.get_num_threads())


def replayed_read(model: CachedModel, state: State) -> Tensor | None:
    """Logits after the last of state.ids (1, T), whose place is written to what is kept -> (1, V).

    None where that is not recorded, or not of such a state: then nothing is changed.
    """
    if state.version is None or len(state.ids) != 1 or torch.is_grad_enabled():
        return None
    parts = [part for part in state.kept if hasattr(part, "at")]
    tensors = [t for part in parts for t in part.tensors()]
    if len(parts) != len(state.kept) or not tensors or tensors[0].shape[1] <= state.length:
        return None  # or room for the place is yet to be made
    of = _recordings.setdefault(model, Recordings())
    key = state.version, tuple(t.shape for t in tensors)
    of.count[key] += 1
    if of.count[key] <= AFTER:
        return None
    if key not in of.runs:
        of.runs[key] = None  # meanwhile, for other threads
        of.runs[key] = _record(model, state, tensors)
    run = of.runs[key]
    logits = None if run is None else run(state.ids[:, -2:], state.length, tensors)
    if logits is None:
        return None
    for part in parts:
        part.took_place()
    return logits


@torch.inference_mode(False)
@torch.no_grad()
def _record(model: CachedModel, state: State, tensors: list[Tensor]) -> Run | None:
    """The operations of one place; None where they do not give what `read` gives at another."""
    room = tensors[0].shape[1]

    def read(ids: Tensor, place: Tensor, *kept: Tensor) -> Tensor:
        mask = torch.where(torch.arange(room) <= place, 0.0, -math.inf).to(kept[0].dtype)
        placed, rest = PlacedState(ids, place), iter(kept)
        placed.kept = [part.at(place, mask, rest) for part in state.kept]
        return model.read(ids[:, -1:], placed)

    def copies() -> list[Tensor]:
        return [t.clone() for t in tensors]

    ids, place = state.ids[:, -2:].clone(), torch.tensor([state.length])
    try:
        operations = record(read, (ids + 1) % model.vocab_size, place - 1, *copies())
        found = operations(ids, place, *copies())
    except CANNOT:
        return None  # it is read as any other
    with torch.inference_mode():
        other = copy.deepcopy(state)
        expected = model.read(ids[:, -1:], other)
    bound = max(1e-4, 4 * torch.finfo(expected.dtype).eps)
    same = torch.allclose(found, expected, bound, bound)
    return Run(model, operations) if same else None
