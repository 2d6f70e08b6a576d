"""What is done at the moment, for whoever watches."""

from __future__ import annotations

import doctest

import pytest

from hornbook import stages
from hornbook.stages import stage, tracked, watched


def test_the_outer_stage_is_told_again_where_the_inner_one_ends() -> None:
    heard: list[str | None] = []
    with watched(heard.append), stage("a"), stage("b") as tell:
        tell("half")
    assert heard == ["a", "b", "b: half", "a", None]


def test_an_error_ends_its_stage() -> None:
    heard: list[str | None] = []
    with watched(heard.append), pytest.raises(ValueError, match="x"), stage("a"):
        raise ValueError("x")
    assert heard == ["a", None]


def test_the_last_watcher_alone_is_told_and_then_the_one_before() -> None:
    first: list[str | None] = []
    second: list[str | None] = []
    with watched(first.append):
        with watched(second.append), stage("a"):
            pass
        with stage("b"):
            pass
    assert (first, second) == (["b", None], ["a", None])


def test_items_are_those_of_the_sequence_whoever_watches() -> None:
    heard: list[str | None] = []
    with watched(heard.append):
        assert list(tracked("n", range(4))) == [0, 1, 2, 3]
    assert heard == ["n", "n: 0%", "n: 25%", "n: 50%", "n: 75%", None]
    assert list(tracked("n", range(4))) == [0, 1, 2, 3]


def test_the_examples_of_the_docstrings() -> None:
    tried = doctest.testmod(stages)
    assert tried.attempted
    assert not tried.failed
