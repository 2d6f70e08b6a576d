"""Embeddings of pairs of tokens."""

from __future__ import annotations

import torch

from hornbook.layers.pairs import PairEmbedding


def test_each_pair_has_its_row_and_a_document_begins_with_none() -> None:
    layer = PairEmbedding(5, 3, end_id=0)
    ids = torch.tensor([[2, 4, 0, 4]])
    rows = [5 * 5 + 2, 2 * 5 + 4, 5 * 5 + 0, 0 * 5 + 4]
    assert torch.equal(layer(ids)[0], layer.weight[rows])
    assert torch.equal(layer(ids, torch.tensor([3]))[0, 0], layer.weight[3 * 5 + 2])


def test_in_a_stream_the_end_of_documents_is_no_start() -> None:
    layer = PairEmbedding(5, 3, end_id=None)
    assert torch.equal(layer(torch.tensor([[2, 0]]))[0, 1], layer.weight[2 * 5])
