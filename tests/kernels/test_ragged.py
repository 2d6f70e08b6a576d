"""Rows at different positions as one batch; `tests/generate/test_rows.py` compares whole decodings."""

from __future__ import annotations

import pytest
import torch

from hornbook.kernels.ragged import RaggedKVCache, RaggedState, signature
from hornbook.layers.cache import Compaction
from hornbook.models.cached import CachedModel
from tests.conftest import tiny_model


def state_of(name: str, texts: list[list[int]]) -> tuple[CachedModel, RaggedState]:
    model = tiny_model(name)
    assert isinstance(model, CachedModel)
    state = RaggedState(model, "half")
    order = state.read_all(texts)
    state.texts = [list(text) for text in state.texts]
    assert [texts[i] for i in order] == state.texts
    return model, state


@pytest.mark.parametrize("name", ["gpt", "gpt2", "bow"])
@pytest.mark.parametrize("texts", [[[], []], [[0, 1, 2], [0], [0, 3], []], [[0, *[1] * 14], [0]]])
@torch.inference_mode()
def test_texts_of_any_lengths_are_read_together(name: str, texts: list[list[int]]) -> None:
    model, state = state_of(name, texts)
    read = [list(text) for text in state.texts]
    logits = state.step(torch.tensor([0 if not text else 4 for text in read]))
    for text, found in zip(read, logits, strict=True):
        ids = torch.tensor([[*text, 4 if text else 0]])
        torch.testing.assert_close(found[None], model.next_logits(ids), atol=1e-5, rtol=1e-4)


@torch.inference_mode()
def test_keys_beyond_the_short_cache_attend_by_the_fused_kernel() -> None:
    torch.manual_seed(0)
    cache = RaggedKVCache()
    cache.n_rows = 2
    from hornbook.kernels.ragged import Positions

    for length in range(80):
        cache.positions = Positions([length, length // 2])
        q, k, v = torch.randn(3, 2, 2, 1, 4)
        out = cache.attend(q, k, v)
        assert cache.buffer is not None
        for row, n in enumerate((length + 1, length // 2 + 1)):
            keys, values = cache.buffer[:, :n, row].unbind()  # (n, G, D)
            weights = (torch.einsum("hd,thd->ht", q[row, :, 0], keys) / 2).softmax(-1)
            expected = torch.einsum("ht,thd->hd", weights, values)
            torch.testing.assert_close(out[row, :, 0], expected)


@torch.inference_mode()
def test_rows_leave() -> None:
    model, state = state_of("gpt", [[0, 1], [0, 2], [0, 3]])
    state.compact(Compaction.of(torch.tensor([False, True, True])))
    assert state.texts == [[0, 3], [0, 2]]
    logits = state.step(torch.tensor([5, 5]))
    expected = torch.cat([model.next_logits(torch.tensor([[0, i, 5]])) for i in (3, 2)])
    torch.testing.assert_close(logits, expected, atol=1e-5, rtol=1e-4)


@torch.inference_mode()
def test_states_of_one_signature_have_the_same_shapes() -> None:
    model = tiny_model("rnn")
    states = [model.start(torch.tensor([ids]))[1] for ids in ([0], [0, 1, 2])]
    assert signature(states[0]) == signature(states[1])
    model = tiny_model("mixture")
    states = [model.start(torch.tensor([ids]))[1] for ids in ([0], [0, 1, 2])]
    assert signature(states[0]) != signature(states[1])
