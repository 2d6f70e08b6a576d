"""Words as the Hugging Face library cuts them."""

from __future__ import annotations

import json
from typing import Any

import pytest
import tokenizers as hugging_face
from hypothesis import given
from hypothesis import strategies as st

from hornbook.tokenizers.words import OWN, WORDS, Words, safe_cuts

PIECES = [
    *"abcSTR'’ \n\r\t019.,!?-_\u00a0\u3000éßſ²½Ⅷ日本語あ한🙂\u200dʼ\u0301\x1c\x00\x85\u2028İK"
]
PIECES += ["'s", "'LL", " '", "\r\n", "'ſ", "  ", "\n\n", "the "]
texts = st.lists(st.sampled_from(PIECES), max_size=30).map("".join)


def library(words: Words) -> Any:
    empty = json.loads(hugging_face.Tokenizer(hugging_face.models.BPE()).to_str())
    whole = {**empty, "pre_tokenizer": words.pre_tokenizer()}
    return hugging_face.Tokenizer.from_str(json.dumps(whole)).pre_tokenizer


@pytest.mark.parametrize("words", WORDS, ids=lambda words: words.name)
@given(text=texts)
def test_words_are_those_of_the_library(words: Words, text: str) -> None:
    found = library(words).pre_tokenize_str(text)
    assert words.cut(text) == [text[a:b] for _, (a, b) in found]


@pytest.mark.parametrize("words", WORDS, ids=lambda words: words.name)
def test_every_character_has_its_class(words: Words) -> None:
    every = "".join(map(chr, [*range(0xD800), *range(0xE000, 0x11000), *range(0x1F000, 0x20000)]))
    text = every.encode("utf-8", "ignore").decode()
    found = library(words).pre_tokenize_str(text)
    assert words.cut(text) == [text[a:b] for _, (a, b) in found]


def test_half_of_a_pair_is_a_word_of_its_own_kind() -> None:
    assert "".join(OWN.cut("a\ud800b")) == "a\ud800b"


@pytest.mark.parametrize("words", WORDS, ids=lambda words: words.name)
@given(text=texts, size=st.integers(1, 9), least=st.integers(2, 9))
def test_safe_cuts_keep_the_words_of_the_whole_text(
    words: Words, text: str, size: int, least: int
) -> None:
    given_pieces = [text[i : i + size] for i in range(0, len(text), size)]
    pieces = list(safe_cuts(given_pieces, least))
    assert "".join(pieces) == text
    if max(map(len, pieces), default=0) < 16 * least:
        assert [word for piece in pieces for word in words.cut(piece)] == words.cut(text)


def test_a_text_without_words_is_cut_all_the_same() -> None:
    assert max(map(len, safe_cuts(["x" * 10] * 100, 20))) <= 330
