"""Reading weights: a safetensors file is a length, a JSON header and the numbers themselves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
DTYPES = {"F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "U8": "u1"}


def read_weights(path: Path) -> tuple[dict[str, str], dict[str, Array]]:
    """The metadata of a safetensors file, and its arrays by name; halves become float32."""
    raw = path.read_bytes()
    end = 8 + int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8:end])
    metadata, arrays = header.pop("__metadata__"), {}
    for name, entry in header.items():
        first, last = (end + offset for offset in entry["data_offsets"])
        array = np.frombuffer(raw[first:last], DTYPES[entry["dtype"]]).reshape(entry["shape"])
        arrays[name] = array.astype(np.float32 if array.dtype.kind == "f" else np.int64)
    return metadata, arrays


def within(weights: dict[str, Array], prefix: str) -> dict[str, Array]:
    """The weights whose names begin with a prefix, without it."""
    return {n.removeprefix(prefix): a for n, a in weights.items() if n.startswith(prefix)}
