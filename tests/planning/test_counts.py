"""Counts are told what they take, and refused where it is not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from hornbook.errors import ConfigError
from hornbook.planning.counts import counts_memory
from hornbook.planning.decide import memory
from tests.planning.texts import large_alphabet, plan_of


def test_counts_take_more_for_longer_contexts_and_larger_alphabets(
    words_file: Path, tmp_path: Path
) -> None:
    small, longer = (
        plan_of(words_file, {"model": {"order": order}}, model="ngram") for order in (3, 6)
    )
    large = plan_of(large_alphabet(tmp_path), model="ngram")
    assert small.memory is not None
    assert longer.memory is not None
    assert large.memory is not None
    assert longer.memory.weights == 2 * small.memory.weights
    assert large.memory.scoring > 100 * small.memory.scoring
    assert counts_memory(large) == (large.memory, large.decisions["memory"])


def test_counts_that_do_not_fit_are_refused_with_a_way_on(
    words_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "available_memory", lambda: 50_000)
    with pytest.raises(ConfigError, match=r"memory: counting needs .* lower --model\.order"):
        plan_of(words_file, model="ngram")
    with pytest.raises(ConfigError, match=r"memory: counting needs .* --tokenizer byte"):
        plan_of(large_alphabet(tmp_path), model="ngram")
