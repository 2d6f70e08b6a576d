"""The cache of keys and values, and rows that leave a batch."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from hornbook.layers.cache import Compaction, KVCache


def test_a_compaction_keeps_exactly_the_rows_that_stay() -> None:
    generator = torch.Generator().manual_seed(0)
    for n in range(12):
        stay = torch.rand(n, generator=generator) < 0.6
        rows = Compaction.of(stay)(torch.arange(n))
        assert sorted(rows.tolist()) == stay.nonzero()[:, 0].tolist()
        first = int(stay.sum())  # rows that are already among the first do not move
        unmoved = stay[:first]
        assert torch.equal(rows[unmoved], torch.arange(n)[:first][unmoved])


@pytest.mark.parametrize("groups", [1, 2])
def test_a_cache_grows(groups: int) -> None:
    cache = KVCache()
    q = torch.randn(3, 2, 40, 4)
    k, v = torch.randn(2, 3, groups, 40, 4)
    whole = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=groups == 1)
    parts = [cache.attend(*(x[:, :, :5] for x in (q, k, v)))]
    parts += [cache.attend(*(x[:, :, t : t + 1] for x in (q, k, v))) for t in range(5, 40)]
    torch.testing.assert_close(torch.cat(parts, dim=2), whole)
    assert cache.length == 40


def test_rows_are_selected_and_leave() -> None:
    k, v = torch.randn(2, 4, 1, 7, 4)
    cache = KVCache()
    cache.attend(k[:, :, :6], k[:, :, :6], v[:, :, :6])
    rows = torch.tensor([3, 0, 0, 2])
    cache.select(rows)
    compaction = Compaction.of(torch.tensor([False, True, True, True]))
    cache.compact(compaction)
    k, v = compaction(k[rows]), compaction(v[rows])
    found = cache.attend(*(x[:, :, 6:] for x in (k, k, v)))
    torch.testing.assert_close(found, F.scaled_dot_product_attention(k[:, :, 6:], k, v))
