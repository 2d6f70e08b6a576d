from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file

from hornbook.export.lesson.weights import read_weights, within
from hornbook.files import write_tensors


def test_it_reads_what_hornbook_and_what_safetensors_write(tmp_path: Path) -> None:
    tensors = {
        "halves": torch.randn(3, 2).half(),
        "numbers": torch.randn(5),
        "none": torch.zeros(0, 4),
        "one": torch.tensor(7.0),
        "small": torch.tensor([0, 255], dtype=torch.uint8),
        "whole": torch.tensor([-(2**40), 2**40]),
        "shorts": torch.tensor([-3, 300], dtype=torch.int16),
    }
    write_tensors(tmp_path / "own", tensors, {"a": "b"})
    save_file({n: t.numpy() for n, t in tensors.items()}, tmp_path / "theirs", {"a": "b"})
    for name in ("own", "theirs"):
        metadata, arrays = read_weights(tmp_path / name)
        assert metadata["a"] == "b"
        assert arrays.keys() == tensors.keys()
        for key, tensor in tensors.items():
            assert arrays[key].dtype in (np.float32, np.int64)
            np.testing.assert_array_equal(arrays[key], tensor.numpy().astype(arrays[key].dtype))


def test_weights_of_a_part_have_shorter_names() -> None:
    one = np.ones(1)
    assert within({"a.b": one, "a.c.d": one, "ab": one}, "a.").keys() == {"b", "c.d"}
