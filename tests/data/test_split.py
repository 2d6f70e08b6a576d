"""Which text belongs to which part, in memory or not."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hornbook.config import DataConfig
from hornbook.data.corpus import read_corpus
from hornbook.data.limits import Limits
from hornbook.data.split import Split, split_corpus
from hornbook.errors import ConfigError, DataError
from hornbook.tokenizers import build_tokenizer
from tests.data.texts import BOTTLES, FROM_FILE, FROM_MEMORY, NAMES, tokenizer_of

Write = Callable[[str, bytes | str], Path]


def test_seed_42_is_the_split_of_the_lectures(write: Write) -> None:
    words = [f"w{i}" for i in range(1003)]
    corpus = read_corpus(write("w.txt", "\n".join(words)))
    split = split_corpus(corpus, DataConfig(), tokenizer_of(corpus))
    random.seed(42)
    random.shuffle(words)
    n1, n2 = int(0.8 * len(words)), int(0.9 * len(words))
    assert list(split.train) == words[:n1]
    assert list(split.validation) == words[n1:n2]
    assert list(split.test) == words[n2:]


def test_a_stream_is_cut_by_position_and_every_character_predicted(write: Write) -> None:
    text = "".join(chr(97 + i % 26) for i in range(1000)) + "\n\n"
    corpus = read_corpus(write("t.txt", text), kind="stream")
    for kind in ("char", "byte"):
        tokenizer = tokenizer_of(corpus, kind)
        split = split_corpus(corpus, DataConfig(), tokenizer)
        assert split.train[0] + split.validation[0] == text
        train, val = split.part("train", tokenizer), split.part("val", tokenizer)
        assert val.n_targets == val.n_bytes == len(split.validation[0])
        assert train.n_targets == len(split.train[0]) - 1  # nothing precedes the first
        with pytest.raises(DataError, match="no such part"):
            split.part("test", tokenizer)
        with pytest.raises(ConfigError, match="did you mean 'validation'"):
            split.part("validatoin", tokenizer)


@pytest.mark.parametrize("kind", ["documents", "stream"])
@pytest.mark.parametrize("limits", [FROM_MEMORY, FROM_FILE])
def test_without_validation_the_whole_text_is_trained_on_and_scored_again(
    kind: str, limits: Limits, write: Write
) -> None:
    text = "".join(f"word{i % 90}\n" for i in range(200))
    corpus = read_corpus(write("t.txt", text), kind=kind, limits=limits)
    tokenizer = tokenizer_of(corpus)
    for fields in ({}, {"test": 0.0}, {"test": 0.2}):
        split = split_corpus(corpus, DataConfig(validation=0, **fields), tokenizer)
        n = 200 if kind == "documents" else len(text)
        train = round(n * (1 - fields.get("test", 0.0)))
        assert split.sizes == (train, train, n - train)
        assert not split.held_out
        assert split.validation == split.train
        ours, again = split.part("train", tokenizer), split.part("val", tokenizer)
        assert np.array_equal(ours.tokens, again.tokens)
        assert sum("says nothing of new text" in note for note in split.notes) == 1
        if limits is FROM_MEMORY:
            whole = "\n" if kind == "documents" else ""
            assert len(whole.join(split.everything)) >= len(text) - 1


@pytest.mark.parametrize("kind", ["documents", "stream"])
@pytest.mark.parametrize("tokens", ["char", "byte"])
def test_the_texts_of_a_split_that_is_not_in_memory_begin_its_parts(
    kind: str, tokens: str, write: Write
) -> None:
    path = write("t.txt", "\n".join(NAMES) if kind == "documents" else BOTTLES)
    corpus = read_corpus(path, kind=kind, limits=FROM_FILE)
    tokenizer = tokenizer_of(corpus, tokens)
    split = split_corpus(corpus, DataConfig(), tokenizer)
    held = read_corpus(path, kind=kind, limits=FROM_MEMORY)
    whole = split_corpus(held, DataConfig(), tokenizer)
    assert not split.in_memory
    assert split.sizes == whole.sizes
    every = zip(split.everything, whole.everything, strict=False)
    if kind == "stream":
        assert all(b.startswith(a) and len(a) > 380 for a, b in every)
    else:
        assert set(split.train) < set(whole.train)
        assert set(split.validation) <= set(whole.validation)
        order = [NAMES.index(name) for name in split.train]
        assert order == sorted(order)  # of the file


def test_held_out_parts_are_scored_whole_or_evenly_spaced(write: Write) -> None:
    path = write("t.txt", BOTTLES)
    sizes: dict[tuple[bool, Any], int] = {}
    for limits in (FROM_MEMORY, FROM_FILE):
        corpus = read_corpus(path, kind="stream", limits=limits)
        tokenizer = tokenizer_of(corpus)
        for asked in (None, 0, 300):
            config = DataConfig(validation_tokens=asked)
            split = split_corpus(corpus, config, tokenizer)
            sizes[split.in_memory, asked] = split.part("val", tokenizer).n_targets
            some = any("evenly spaced" in note for note in split.notes)
            assert some == (not split.in_memory and asked == 300)
    whole = sizes[True, None]
    assert sizes[True, 300] == sizes[True, 0] == sizes[False, None] == sizes[False, 0] == whole
    assert 150 < sizes[False, 300] < 450 < whole


@pytest.mark.parametrize("n", [1, 2])
def test_too_few_documents_are_refused(n: int, write: Write) -> None:
    corpus = read_corpus(write("t.txt", "\n".join(f"word{i}" for i in range(n))), kind="documents")
    with pytest.raises(DataError, match="too few to hold out"):
        split_corpus(corpus, DataConfig(), tokenizer_of(corpus))


def test_a_split_of_texts_alone() -> None:
    tokenizer = build_tokenizer("char", "abc", documents=True)
    split = Split(("ab", "c"), ("ca",), (), documents=True)
    assert split.in_memory
    assert tokenizer.decode_documents(split.part("val", tokenizer).tokens) == ("ca",)


def test_duplicate_documents_are_counted(write: Write) -> None:
    text = "\n".join(["emma"] * 50 + [f"word{i}" for i in range(50)])
    corpus = read_corpus(write("t.txt", text), kind="documents")
    split = split_corpus(corpus, DataConfig(), tokenizer_of(corpus))
    shared = sum(text == "emma" for text in split.validation) / len(split.validation)
    assert split.notes == (
        f"49 duplicate documents; {shared:.1%} of the validation documents also appear in the "
        "training part",
    )
