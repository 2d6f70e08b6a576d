"""The tokenizer of a trained model, for another text."""

from __future__ import annotations

import pytest

from hornbook.errors import ConfigError
from hornbook.tokenizers.base import LINE_BREAK, NULL, Tokenizer
from hornbook.tokenizers.bpe import train_bpe
from hornbook.tokenizers.byte import ByteTokenizer
from hornbook.tokenizers.char import CharTokenizer
from hornbook.tokenizers.continued import continued_tokenizer

CHARS = CharTokenizer.from_text("abc\n", documents=True)
STREAM = CharTokenizer.from_text("abc\n", documents=False)
BPE = train_bpe(["abab abab cd cd"], 260, documents=True)
BPE_STREAM = train_bpe(["abab abab cd cd"], 260, documents=False)


def continued(base: Tokenizer, text: str, *, documents: bool, **more: object) -> Tokenizer:
    return continued_tokenizer(base, text, documents=documents, document_end=LINE_BREAK, **more)


def test_ids_stay_and_new_characters_get_the_next_ones() -> None:
    grown = continued(CHARS, "zaé\n", documents=True, grow=True)
    assert grown.encode("abczé").tolist() == [1, 2, 3, 4, 5]
    assert grown.end_id == 0
    assert continued(CHARS, "ba\n", documents=True).encode("abc").tolist() == [1, 2, 3]


def test_unknown_characters_are_named_with_what_can_be_done() -> None:
    with pytest.raises(ConfigError) as caught:
        continued(CHARS, "zaé\n", documents=True)
    for part in ("2 characters", "'z'", "'é' (U+00E9)", "--grow", "--unknown skip"):
        assert part in str(caught.value)


def test_unknown_characters_may_be_skipped() -> None:
    found = continued(CHARS, "zaé\n", documents=True, unknown="skip")
    assert found.vocab_size == CHARS.vocab_size


@pytest.mark.parametrize(
    ("base", "documents"),
    [(CHARS, False), (STREAM, True), (ByteTokenizer(documents=True), False)],
    ids=["char", "char of a stream", "byte"],
)
def test_a_text_of_the_other_kind_is_refused(base: Tokenizer, documents: bool) -> None:
    with pytest.raises(ConfigError, match=r"--kind (documents|stream)"):
        continued(base, "abc", documents=documents, grow=False)


def test_subwords_of_documents_read_a_stream_with_the_same_ids() -> None:
    found = continued(BPE, "abab cd", documents=False)
    assert found.end_id is None
    assert found.vocab_size == BPE.vocab_size
    assert found.encode("abab cd").tolist() == BPE.encode("abab cd").tolist()


@pytest.mark.parametrize("base", [BPE_STREAM, ByteTokenizer(documents=False)], ids=["bpe", "byte"])
def test_the_end_of_a_document_is_a_token_that_has_to_be_added(base: Tokenizer) -> None:
    with pytest.raises(ConfigError, match="--grow"):
        continued(base, "abab cd", documents=True)
    found = continued(base, "abab cd", documents=True, grow=True)
    assert found.end_id == base.vocab_size
    assert found.encode("abab").tolist() == base.encode("abab").tolist()


def test_documents_may_end_otherwise() -> None:
    found = continued_tokenizer(CHARS, "ab\0c", documents=True, document_end=NULL)
    assert found.encode_lines("ab\0").tolist() == [1, 2, 0]
