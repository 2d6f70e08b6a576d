from __future__ import annotations

import pytest
import torch
from torch import Tensor

from hornbook.export.onnx_cache import BATCH, EXAMPLE, CachedReader, Value, cached_reader
from hornbook.export.onnx_forms import install
from tests.conftest import tiny_model

WITHOUT = {"ngram", "bigram", "mlp", "mixture"}


def reader_of(name: str, end_id: int | None) -> CachedReader | None:
    model = tiny_model(name, end_id=end_id)
    return cached_reader(model, install(model))


def empty(values: list[Value], n: int) -> list[Tensor]:
    """The past of n new texts."""
    sizes = [[n if k == BATCH else 0 if isinstance(k, str) else k for k in v.shape] for v in values]
    return [torch.zeros(size, dtype=v.dtype) for size, v in zip(sizes, values, strict=True)]


@torch.no_grad()
@pytest.mark.parametrize("first", [1, 5])
@pytest.mark.parametrize("end_id", [0, None])
def test_with_the_cache_a_text_is_read_as_by_the_model(
    model_name: str, end_id: int | None, first: int
) -> None:
    reader = reader_of(model_name, end_id)
    if model_name in WITHOUT:
        assert reader is None
        return
    assert reader is not None
    model = tiny_model(model_name, end_id=end_id)
    ids = torch.randint(1, 12, (3, 14))
    if end_id is not None:
        ids[:, 0] = end_id
    expected, state = model.start(ids[:, :first])
    past = empty(reader.past, 3)
    reads = [ids[:, :first]] if reader.several else [ids[:, t : t + 1] for t in range(first)]
    for read in reads:
        logits, *past = reader(read, past)
    for t in range(first, 14):
        torch.testing.assert_close(logits[:, 0], expected)
        expected = model.step(ids[:, t], state)
        logits, *past = reader(ids[:, t : t + 1], past)
    torch.testing.assert_close(logits[:, 0], expected)


@torch.no_grad()
def test_a_prompt_may_come_in_pieces() -> None:
    reader, model = reader_of("gpt", 0), tiny_model("gpt")
    assert reader is not None
    ids = torch.randint(1, 12, (2, 9))
    past = empty(reader.past, 2)
    for piece in (ids[:, :2], ids[:, 2:6], ids[:, 6:]):
        logits, *past = reader(piece, past)
    torch.testing.assert_close(logits[:, 0], model.next_logits(ids))


def test_keys_and_values_have_the_usual_names() -> None:
    reader = reader_of("gpt2", 0)
    assert reader is not None
    assert [value.name for value in reader.past[:2]] == [
        "past_key_values.0.key",
        "past_key_values.0.value",
    ]
    assert reader.past[0].shape == (BATCH, 2, "past_sequence_length", 8)
    assert [value.name for value in reader.present[:2]] == ["present.0.key", "present.0.value"]
    assert len(reader.past) == len(reader.present) == 4


def test_example_sizes_differ_from_each_other() -> None:
    assert len(set(EXAMPLE.values())) == len(EXAMPLE)
    assert min(EXAMPLE.values()) > 1
