"""The cache for many short rows against the textbook cache."""

from __future__ import annotations

import pytest
import torch

from hornbook.kernels.decoding_cache import ShortKVCache, use_fast_cache
from hornbook.layers.cache import KVCache
from hornbook.models.base import DecodingState


@pytest.mark.parametrize("length", [1, 3, 30, 200])  # short and long take different paths
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_attention_of_the_last_position_is_the_textbooks(length: int, groups: int) -> None:
    q = torch.randn(5, 4, 1, 16, dtype=torch.float64)
    keys, values = torch.randn(2, length, 5, groups, 16, dtype=torch.float64)
    found = ShortKVCache().attend_last(q, keys, values)
    expected = KVCache().attend_last(q, keys, values)
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)


def test_the_caches_of_a_state_become_fast_and_those_within_it() -> None:
    inner = DecodingState(torch.zeros(1, 1, dtype=torch.int64), [KVCache()])
    state = DecodingState(inner.ids, [KVCache(), torch.zeros(1, 2), inner])
    use_fast_cache(state)
    assert isinstance(state.cache[0], ShortKVCache)
    assert isinstance(inner.cache[0], ShortKVCache)
