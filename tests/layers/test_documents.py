"""Documents in packed rows, from the ids alone."""

from __future__ import annotations

import torch

from hornbook.layers.documents import document_starts, last_window, windows


def test_a_position_starts_where_the_last_end_id_is() -> None:
    ids = torch.tensor([[7, 0, 5, 0, 3], [0, 0, 1, 1, 0]])
    assert document_starts(ids, 0).tolist() == [[0, 1, 1, 3, 3], [0, 1, 1, 1, 4]]


def test_a_window_repeats_the_end_id_before_its_document() -> None:
    ids = torch.tensor([[5, 0, 3, 4]])
    expected = [[5, 5, 5], [0, 0, 0], [0, 0, 3], [0, 3, 4]]
    assert windows(ids, 3, 0).tolist() == [expected]
    for last in range(1, 5):
        assert last_window(ids[:, :last], 3, 0).tolist() == [expected[last - 1]]


def test_a_window_of_a_stream_repeats_its_first_token() -> None:
    ids = torch.tensor([[5, 0, 3]])
    assert windows(ids, 2, None).tolist() == [[[5, 5], [5, 0], [0, 3]]]
    assert last_window(ids, 5, None).tolist() == [[5, 5, 5, 0, 3]]
