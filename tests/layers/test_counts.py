"""Counting n-grams, and finding their contexts again, against dictionaries."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
import torch

from hornbook.layers.counts import add_entries, count_levels, find, find_contexts

V = 4
TOKENS = np.array([0, 1, 2, 1, 0, 2, 1, 2, 3, 0, 1, 2, 0])
STARTS = np.array([0, 4, 9, 12])  # documents 1 2 1, 2 1 2 3 and 1 2, each begun by 0


def grams(order: int) -> list[Counter[tuple[int, ...]]]:
    """By length of context: how often each context and its next token occur."""
    documents = [TOKENS[a : b + 1].tolist() for a, b in pairwise(STARTS)]
    return [
        Counter(
            tuple(ids[i - length : i + 1])
            for ids in documents
            for i in range(max(1, length), len(ids))
        )
        for length in range(order)
    ]


def test_every_context_with_its_next_token_is_counted() -> None:
    expected = grams(3)
    for length, level in enumerate(count_levels(TOKENS, STARTS, 3, V)):
        assert sorted(level.raw.tolist()) == sorted(expected[length].values())
        if length < 2:
            distinct = Counter(gram[1:] for gram in expected[length + 1])
            found = sorted(level.distinct.tolist())
            assert found == sorted(distinct[gram] for gram in expected[length])


@pytest.mark.parametrize("vocab_size", [3, 60])
def test_counts_are_those_of_every_substring(vocab_size: int) -> None:
    """Of few tokens they are looked up in a table, of many sorted."""
    tokens = np.random.default_rng(0).integers(0, vocab_size, 501)
    starts = np.array([0, 1, 2, 150, 400, 500])
    order = 5
    for length, level in enumerate(count_levels(tokens, starts, order, vocab_size)):
        found = Counter(
            tuple(tokens[i - length + 1 : i + 2].tolist())
            for begin, end in pairwise(starts)
            for i in range(begin + max(0, length - 1), end)
        )
        assert sorted(level.raw) == sorted(found.values())
        assert (np.diff(level.keys) > 0).all()
        assert (np.diff(level.pairs) > 0).all()
        for i, pair in enumerate(level.place):
            own = tuple(tokens[max(0, i - length + 1) : i + 2].tolist())
            if pair >= 0:
                assert level.pairs[pair] % vocab_size == tokens[i + 1]
                assert level.raw[pair] == found[own]
        assert (level.place >= 0).sum() == found.total()


def test_contexts_are_found_again_and_end_where_their_document_begins() -> None:
    levels = list(count_levels(TOKENS, STARTS, 3, V))
    keys = [torch.from_numpy(level.keys) for level in levels]
    ids = torch.from_numpy(TOKENS[None, :-1])
    for length, (level, context) in enumerate(
        zip(levels, find_contexts(ids, keys, V, 0), strict=True)
    ):
        raw = dict(zip(level.pairs.tolist(), level.raw.tolist(), strict=True))
        expected = grams(3)[length]
        for i, rank in enumerate(context[0].tolist()):
            start = int(STARTS[np.searchsorted(STARTS, i, side="right") - 1])
            if i - length + 1 < start:
                assert rank == -1
            else:
                gram = tuple(TOKENS[i - length + 1 : i + 2].tolist())
                assert raw[rank * V + gram[-1]] == expected[gram]


def test_a_key_that_is_not_there_has_no_rank() -> None:
    keys = torch.tensor([2, 5, 9])
    assert find(keys, torch.tensor([[5, 0], [10, 9]])).tolist() == [[1, -1], [-1, 2]]
    assert find(keys[:0], torch.tensor([5])).tolist() == [-1]


@pytest.mark.parametrize("at_once", [1, 3, 1 << 20])
def test_entries_are_added_whatever_is_looked_up_at_once(
    at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hornbook.layers.counts.ENTRIES", at_once)
    following, value = torch.tensor([0, 2, 1, 3, 0]), torch.arange(1.0, 6.0)
    p = torch.zeros(4, V)
    bounds = torch.tensor([0, 2, 0]), torch.tensor([2, 5, 2])
    add_entries(p, torch.tensor([3, 0, 1]), bounds, following, value, torch.tensor([1.0, 2, 3]))
    assert p.tolist() == [[10, 6, 0, 8], [3, 0, 6, 0], [0, 0, 0, 0], [1, 0, 2, 0]]
