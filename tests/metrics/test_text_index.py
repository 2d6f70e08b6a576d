"""The training text indexed."""

from __future__ import annotations

import math

import pytest

from hornbook.api import Run
from hornbook.data.split import Split
from hornbook.metrics.text_index import TextIndex


def test_losses_of_counts_are_those_by_hand(names_run: Run) -> None:
    index = TextIndex(names_run.split())
    part, unigram, bigram = index.counted_losses(names_run.tokenizer)
    text = "".join(f"{name}." for name in index.split.train)
    nats = [-math.log(text.count(names_run.tokenizer.symbol(t)) / len(text))
            for t in part.tokens[1:].tolist()]  # fmt: skip
    assert unigram == pytest.approx(sum(nats) / len(nats), abs=0.01)
    assert 2.4 < bigram < 2.6  # the notes: 2.45 of all names


def test_texts_are_found_whole_among_documents_and_anywhere_in_a_stream() -> None:
    documents = TextIndex(Split(("emma", "ava"), ("mia",), ("noa",), documents=True))
    assert "emma" in documents
    assert "mm" not in documents
    assert "mm" in documents.substrings
    assert documents.held_out == ("mia", "noa")
    assert documents.sample_tokens == 8
    stream = TextIndex(Split(("emma ava",), ("mia",), (), documents=False))
    assert "mma a" in stream
    assert "mia" not in stream
    assert stream.nearest.documents == []
