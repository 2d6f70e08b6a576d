from __future__ import annotations

import gzip

import numpy as np
import pytest
import safetensors.numpy
import torch

from hornbook.export.compact import as_bytes, compact, restored


@pytest.mark.parametrize(("dtype", "error"), [("f32", 0.0), ("f16", 5e-4), ("q8_0", 4.5e-3)])
def test_floats_come_back_within_the_step_of_their_type(dtype: str, error: float) -> None:
    generator = torch.Generator().manual_seed(0)
    tensors = {
        "matrix": torch.randn(7, 45, generator=generator),
        "empty": torch.zeros(0),
        "zeros": torch.zeros(3, 40),
        "norm": torch.rand(9, generator=generator) + 0.5,
    }
    found = restored(compact(tensors, dtype), tensors)
    for name, tensor in tensors.items():
        assert found[name].shape == tensor.shape
        assert found[name].dtype == tensor.dtype
        largest = float(tensor.abs().max()) if tensor.numel() else 0.0
        assert float((found[name] - tensor).abs().sum()) <= error * largest * max(1, tensor.numel())


def test_int8_takes_a_quarter_and_vectors_stay_half() -> None:
    stored = compact({"w": torch.randn(8, 64), "b": torch.randn(64)}, "q8_0")
    assert {name: array.dtype.name for name, array in stored.items()} == {
        "w:blocks": "int8", "w:scale": "float16", "b": "float16",
    }  # fmt: skip
    assert len(stored["w:scale"]) == 8 * 64 // 32


def test_numbers_beyond_half_precision_stay_float32() -> None:
    large = {"running_var": torch.tensor([1e6, 1.0])}
    assert compact(large, "f16")["running_var"].dtype == np.float32


def test_integers_keep_their_values_in_fewer_bytes() -> None:
    tensors = {
        "keys": torch.arange(0, 3_000_000_000, 10_000_000),
        "next": torch.tensor([5, 3, 200]),
        "raw": torch.tensor([70_000, 1], dtype=torch.int32),
        "huge": torch.tensor([1 << 40, 0]),
        "none": torch.zeros(0, dtype=torch.int64),
    }
    stored = compact(tensors, "f16")
    assert stored["keys:steps"].dtype == np.uint32
    assert stored["next"].dtype == np.uint8
    assert stored["raw"].dtype == np.uint32
    assert stored["huge"].dtype == np.int64
    for name, found in restored(stored, tensors).items():
        assert torch.equal(found, tensors[name]), name
        assert found.dtype == tensors[name].dtype


def test_the_file_is_the_same_each_time_and_compressed_where_it_is_worth_it() -> None:
    for array, compressed in ((torch.ones(300, 3), True), (torch.randn(300, 3), False)):
        stored = compact({"w": array}, "f32")
        raw = as_bytes(stored)
        assert raw == as_bytes(stored)
        assert (raw[:2] == b"\x1f\x8b") == compressed
        found = safetensors.numpy.load(gzip.decompress(raw) if compressed else raw)
        assert np.array_equal(found["w"], array.numpy())
