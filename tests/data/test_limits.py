"""A corpus keeps the limits it was read with: everything made of it agrees on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from hornbook.config import DataConfig
from hornbook.data.corpus import read_corpus
from hornbook.data.limits import LIMITS
from hornbook.data.split import split_corpus
from hornbook.tokenizers import build_tokenizer
from tests.data.texts import BOTTLES

Write = Callable[[str, bytes | str], Path]


@pytest.mark.parametrize("in_memory", [0, LIMITS.in_memory])
def test_a_text_is_the_same_on_either_side_of_a_limit(in_memory: int, write: Write) -> None:
    limits = replace(LIMITS, in_memory=in_memory, chunk=64)
    corpus = read_corpus(write("t.txt", BOTTLES), kind="stream", limits=limits)
    assert corpus.in_memory == (in_memory > 0)
    assert corpus.limits == limits
    tokenizer = build_tokenizer("char", corpus.alphabet, documents=False)
    part = split_corpus(corpus, DataConfig(), tokenizer).part("train", tokenizer)
    assert BOTTLES.startswith(tokenizer.decode(part.tokens.tolist()))
    assert len(part.tokens) > len(BOTTLES) / 2
