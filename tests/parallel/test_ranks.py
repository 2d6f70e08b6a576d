"""Ranks talk to each other, and end together."""

from __future__ import annotations

import pytest
import torch

from hornbook.errors import ConfigError
from hornbook.parallel.ranks import SINGLE, TIMEOUT, timeout_seconds
from tests.parallel.helpers import Failure, on_ranks
from tests.parallel.work import fail, talk


def test_a_single_process_talks_to_nobody() -> None:
    tensor = torch.ones(2)
    assert SINGLE.sum(tensor) is tensor
    assert (SINGLE.max([3, 1]), SINGLE.any(False), SINGLE.broadcast(b"x")) == ([3, 1], False, b"x")
    assert SINGLE.on_first(lambda: 5) == SINGLE.one_after_other(lambda: 5) == 5
    assert list(SINGLE.share(range(3))) == [0, 1, 2]
    assert SINGLE.is_first
    assert not SINGLE.launched


def test_what_is_sent_arrives() -> None:
    for rank, heard in enumerate(on_ranks(2, talk)):
        assert heard == {
            "sum": [3.0, 3.0],
            "max": [1, 0],
            "any": (True, False),
            "values": [None, {"a": [0]}],
            "bytes": [b"", b"\0\xff"],
            "tensors": True,
            "first": [0, "done"],
            "order": rank,
            "share": [[0, 2, 4], [1, 3]][rank],
        }


@pytest.mark.parametrize("how", ["sending", "waiting"])
def test_an_error_of_one_rank_ends_all_and_names_it(how: str) -> None:
    results = on_ranks(3, fail, 0 if how == "waiting" else 1, how)
    failed = [r for r in results if r.kind == "RunError"]
    assert [(r.message, r.said) for r in failed] == [
        (f"rank {results.index(failed[0])} of 3: the disk is full", False)
    ]
    others = [r for r in results if r not in failed]
    assert [(r.kind, r.said) for r in others] == [("LostRankError", True)] * 2


def test_one_message_says_that_a_rank_was_killed() -> None:
    results = on_ranks(3, fail, 2, "killed")
    assert results.pop() is None
    assert all(isinstance(r, Failure) and "ended without a word" in r.message for r in results)
    assert sorted(r.said for r in results) == [False, True]


@pytest.mark.parametrize("value", ["soon", "0", "-3"])
def test_a_timeout_is_a_number_of_seconds(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TIMEOUT, value)
    with pytest.raises(ConfigError, match=rf"{TIMEOUT}: found '{value}'.*expected seconds"):
        timeout_seconds()
