from __future__ import annotations

import pytest

from hornbook.export.vocabulary import CONTROL, vocabulary
from hornbook.tokenizers import BPETokenizer
from hornbook.tokenizers.bpe import train_bpe
from hornbook.tokenizers.byte import ByteTokenizer, printable_bytes
from hornbook.tokenizers.char import CharTokenizer
from hornbook.tokenizers.words import WORDS, Words

LETTER = {letter: byte for byte, letter in enumerate(printable_bytes())}


def as_bytes(token: str) -> bytes:
    return bytes(LETTER[letter] for letter in token)


@pytest.mark.parametrize("documents", [True, False])
def test_each_token_is_the_bytes_of_its_text(documents: bool) -> None:
    characters = "a b\té東👩\u200d"
    found = vocabulary(CharTokenizer(sorted(characters.replace(" ", "_")), documents=documents))
    kinds = zip(found.tokens, found.types, strict=True)
    texts = [as_bytes(token).decode() for token, kind in kinds if kind != CONTROL]
    assert texts == sorted(characters.replace(" ", "_"))
    assert found.types.count(CONTROL) == 1
    assert found.tokens[found.end_id] == "<|endoftext|>"
    assert found.end_id == (0 if documents else len(texts))
    assert found.added == (0 if documents else 1)


def test_merges_put_a_character_together_from_left_to_right_and_cross_none() -> None:
    found = vocabulary(CharTokenizer(["é", "è", "東"], documents=False))
    pairs = [tuple(map(as_bytes, merge.split(" "))) for merge in found.merges]
    raw = {c: c.encode() for c in "éè東"}
    assert pairs == [
        (raw["é"][:1], raw["é"][1:]),
        (raw["è"][:1], raw["è"][1:]),
        (raw["東"][:1], raw["東"][1:2]),
        (raw["東"][:2], raw["東"][2:]),
    ]


def test_bytes_have_a_merge_that_no_text_needs() -> None:
    found = vocabulary(ByteTokenizer(documents=True))
    assert [as_bytes(token) for token in found.tokens[:256]] == [bytes([b]) for b in range(256)]
    (merge,) = found.merges
    assert as_bytes(merge.split(" ")[0]) == b"\xff"  # in no UTF-8


@pytest.mark.parametrize("words", WORDS, ids=lambda words: words.name)
def test_subwords_keep_their_merges_and_the_way_to_cut_words(words: Words) -> None:
    learned = train_bpe(["the other theory of the other"] * 9, 280, documents=True)
    own = BPETokenizer(learned.vocab, learned.merges, end_id=learned.end_id, words=words)
    found = vocabulary(own)
    assert found.words == words.name
    assert found.merges == [" ".join(pair) for pair in own.merges]
    assert [as_bytes(token) for token in found.tokens[:-1]] == [
        own.decode_bytes([i]) for i in range(own.vocab_size - 1)
    ]
    assert (found.end_id, found.added) == (own.end_id, 0)
    assert vocabulary(CharTokenizer(["a"], documents=True)).words == "qwen2"
