"""The tensors of a model in fewer bytes, for a page (read by `web/tensors.js`).

Floats in f32, f16, or q8_0 as in GGUF: int8 with a scale in f16 for each 32 values; vectors (norms,
biases, probabilities of counts) stay f16 there. Integers keep their values in the smallest type;
those that ascend, such as the keys of counts, as differences. The file is safetensors.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import safetensors.numpy
import torch
from numpy.typing import NDArray
from torch import Tensor

Dtype = Literal["f16", "f32", "q8_0"]
BLOCK = 32  # values that share a scale
LARGEST_HALF = 65504.0
WORTH = 0.75  # of the bytes: what compressed ones take at most
Array = NDArray[Any]


def compact(tensors: Mapping[str, Tensor], dtype: str) -> dict[str, Array]:
    """The arrays that are stored, by name: one for each tensor, or two (see `web/tensors.js`)."""
    stored: dict[str, Array] = {}
    for name, tensor in tensors.items():
        array = tensor.detach().cpu().numpy()
        if array.dtype.kind == "f":
            stored |= _floats(name, array, dtype)
        else:
            stored |= _integers(name, array)
    return stored


def restored(stored: Mapping[str, Array], like: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors as a page reads them, in the dtypes of `like`."""
    tensors = {}
    for name, tensor in like.items():
        if name in stored:
            array = stored[name]
        elif f"{name}:steps" in stored:
            array = np.cumsum(stored[f"{name}:steps"].astype(np.int64))
        else:
            blocks, scale = stored[f"{name}:blocks"], stored[f"{name}:scale"].astype(np.float32)
            array = blocks.ravel() * scale.repeat(BLOCK)[: blocks.size]
        tensors[name] = torch.from_numpy(array.reshape(tensor.shape).astype(np.float64)).to(
            tensor.dtype
        )
    return tensors


def as_bytes(stored: Mapping[str, Array]) -> bytes:
    """The file, compressed where that is worth the time that a page takes to read it: counts are, and
    weights are not. The same arrays, the same bytes."""
    contiguous = {name: np.ascontiguousarray(array) for name, array in stored.items()}
    raw = safetensors.numpy.save(contiguous)
    packed = gzip.compress(raw, mtime=0)
    return packed if len(packed) < WORTH * len(raw) else raw


def _floats(name: str, array: Array, dtype: str) -> dict[str, Array]:
    array = array.astype(np.float32)
    largest = float(np.abs(array).max(initial=0))
    if dtype == "f32" or not largest <= LARGEST_HALF:
        return {name: array}
    if dtype == "f16" or array.ndim < 2:
        return {name: array.astype(np.float16)}
    flat = np.pad(array.ravel(), (0, -array.size % BLOCK)).reshape(-1, BLOCK)
    scale = (np.abs(flat).max(1) / 127).astype(np.float16)
    divisor = np.where(scale > 0, scale.astype(np.float32), 1)
    blocks = np.round(flat / divisor[:, None]).clip(-127, 127).astype(np.int8)
    return {
        f"{name}:blocks": blocks.ravel()[: array.size].reshape(array.shape),
        f"{name}:scale": scale,
    }


def _integers(name: str, array: Array) -> dict[str, Array]:
    if array.ndim == 1 and array.size > 1 and array[0] >= 0 and (np.diff(array) >= 0).all():
        return {f"{name}:steps": _smallest(np.diff(array, prepend=0))}
    return {name: _smallest(array)}


def _smallest(array: Array) -> Array:
    """The smallest type of no sign that holds the values; int64 where there is none."""
    if array.size and array.min() < 0:
        return array.astype(np.int64)
    largest = int(array.max(initial=0))
    for kind in (np.uint8, np.uint16, np.uint32):
        if largest <= np.iinfo(kind).max:
            return array.astype(kind)
    return array.astype(np.int64)
