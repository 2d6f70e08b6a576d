from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

from hornbook.parallel.shards import full, is_sharded, local, rows_of


@pytest.mark.parametrize("n_ranks", [1, 2, 3, 4, 7])
def test_rows_are_those_that_torch_chunks(n_ranks: int) -> None:
    for n in range(12):
        expected = [len(piece) for piece in torch.arange(n).chunk(n_ranks)] if n else []
        expected += [0] * (n_ranks - len(expected))
        edges = [rows_of(n, rank, n_ranks) for rank in range(n_ranks)]
        assert [end - first for first, end in edges] == expected
        assert edges[0][0] == 0
        assert all(a[1] == b[0] for a, b in itertools.pairwise(edges))
        assert edges[-1][1] == n


def test_an_ordinary_tensor_is_whole() -> None:
    for tensor in (torch.ones(3), nn.Parameter(torch.ones(3))):
        assert not is_sharded(tensor)
        assert local([tensor])[0] is tensor
        assert torch.equal(full(tensor), torch.ones(3))
        assert not full(tensor).requires_grad
