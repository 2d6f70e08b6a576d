"""Byte-level BPE."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tokenizers as hugging_face
from hypothesis import given
from hypothesis import strategies as st

from hornbook.errors import ConfigError, DataError
from hornbook.generate.decoder import split_prompt
from hornbook.tokenizers import END, BPETokenizer
from hornbook.tokenizers.base import Written, stand_in
from hornbook.tokenizers.bpe import LETTERS, train_bpe
from hornbook.tokenizers.registry import tokenizer_of

TEXT = """It was the best of times, it was the worst of times, it was the age of wisdom, it was the age
of foolishness, it was the epoch of belief, it was the epoch of incredulity, it was the season of Light.
Ærø, Århus, blåbærgrød; Ærø, Århus, blåbærgrød.  1776, 1789!
"""
STREAM = train_bpe([TEXT], 290, documents=False)
DOCUMENTS = train_bpe([TEXT], 290, documents=True)


def library(tokenizer: BPETokenizer) -> hugging_face.Tokenizer:
    read = hugging_face.Tokenizer.from_str(json.dumps(tokenizer.to_json()))
    read.encode_special_tokens = True
    return read


def test_ids_are_bytes_then_merges_then_the_end() -> None:
    assert STREAM.encode("aæ").tolist()[0] == ord("a")
    assert (STREAM.vocab_size, STREAM.end_id) == (290, None)
    assert (DOCUMENTS.vocab_size, DOCUMENTS.end_id) == (290, 289)
    assert STREAM.symbol(256).strip() in TEXT
    assert STREAM.symbol(0xC3) == "<c3>"
    assert len(STREAM.encode(TEXT)) < 0.6 * len(TEXT)


def test_the_same_text_gives_the_same_tokenizer() -> None:
    again = train_bpe(iter([TEXT[:100], TEXT[100:]]), 290, documents=False)
    assert train_bpe([TEXT], 290, documents=False).to_json() == STREAM.to_json()
    assert again.vocab_size == 290


@given(st.text(max_size=40))
def test_any_text_comes_back(text: str) -> None:
    assert STREAM.decode(STREAM.encode(text)) == text
    assert DOCUMENTS.decode(DOCUMENTS.encode(text)) == text


@given(
    st.lists(st.sampled_from([*TEXT.split(" "), " ", "\n", END, "日本", "🙂", "'s"])).map("".join)
)
def test_the_library_has_the_same_ids(text: str) -> None:
    assert library(STREAM).encode(text).ids == STREAM.encode(text).tolist()
    assert library(DOCUMENTS).encode(text).ids == DOCUMENTS.encode(text).tolist()
    assert library(DOCUMENTS).decode(DOCUMENTS.encode(text).tolist()) == text


def test_half_of_a_pair_is_kept() -> None:
    ids = STREAM.encode("a\ud800")
    assert STREAM.decode_bytes(ids) == "a\ud800".encode("utf-8", "surrogatepass")


def test_documents_end_in_one_id_that_no_text_has() -> None:
    ids = DOCUMENTS.encode_lines("it was\nthe age\n")
    assert (ids == DOCUMENTS.end_id).sum() == 2
    assert ids[-1] == DOCUMENTS.end_id
    assert DOCUMENTS.decode_lines(ids) == "it was\nthe age\n"
    documents = ("it was", "the age", END)
    assert DOCUMENTS.decode_documents(DOCUMENTS.encode_documents(documents)) == documents
    assert DOCUMENTS.end_id not in DOCUMENTS.encode(f"{END} it was")
    assert DOCUMENTS.count_bytes(ids) == len("it was\nthe age\n")
    with pytest.raises(DataError, match="stream"):
        STREAM.encode_lines("a\n")


def test_it_is_saved_and_comes_back() -> None:
    for own in (STREAM, DOCUMENTS):
        back = tokenizer_of(json.loads(json.dumps(own.to_json())))
        assert back.to_json() == own.to_json()
        assert (back.kind, back.end_id, back.vocab_size) == ("bpe", own.end_id, own.vocab_size)
        assert back.encode(TEXT).tolist() == own.encode(TEXT).tolist()


def test_a_large_text_in_pieces_has_the_ids_of_the_whole() -> None:
    pieces = STREAM.cut(TEXT[i : i + 7] for i in range(0, len(TEXT), 7))
    ids = np.concatenate([STREAM.encode(piece) for piece in pieces])
    assert ids.tolist() == STREAM.encode(TEXT).tolist()


def test_more_words_than_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hornbook.tokenizers.bpe.KNOWN_WORDS", 5)
    own = train_bpe([TEXT], 290, documents=False)
    for _ in range(3):
        assert own.decode(own.encode(TEXT)) == TEXT


def test_fewer_ids_than_bytes_are_refused() -> None:
    with pytest.raises(ConfigError, match="found 256, expected 257"):
        train_bpe([TEXT], 256, documents=True)


def test_tokens_that_begin_with_bytes() -> None:
    beginning = STREAM.begin_with(b" the")
    assert [STREAM.symbol(i) for i in range(290) if beginning[i]][:1] == [" the"]


def lacking(*bytes_: int) -> BPETokenizer:
    """A tokenizer without ids for these bytes."""
    learned = train_bpe([TEXT], 270, documents=True)
    without = {LETTERS[byte] for byte in bytes_}
    left = [token for token in learned.vocab if not without & set(token)]
    vocab = {token: i for i, token in enumerate(left)}
    merges = [pair for pair in learned.merges if "".join(pair) in vocab]
    return BPETokenizer(vocab, merges, end_id=len(vocab))


def test_characters_with_a_byte_that_has_no_id_are_unknown() -> None:
    own = lacking(4, 0xC0, 0xF1, 0xFF)
    assert own.decode(own.encode(TEXT + "🙂")) == TEXT + "🙂"
    for text in ("a\x04b", "a\U00040000b"):
        with pytest.raises(DataError, match=rf"U\+{ord(text[1]):04X}.*--unknown skip"):
            own.encode(text)
        with pytest.raises(DataError, match="no id for some of their bytes"):
            own.encode_lines(f"{text}\n")
        assert own.decode(own.encode(text, unknown="skip")) == "ab"
        assert own.encode_lines(f"{text}\n", unknown="skip")[-1] == own.end_id
    again = tokenizer_of(own.to_json())
    assert again.encode("a\x04b", unknown="skip").tolist() == own.encode("ab").tolist()


def test_bytes_that_most_scripts_need_must_have_ids() -> None:
    with pytest.raises(ValueError, match="the byte 80, which continues characters"):
        lacking(0x80)


@given(st.lists(st.sampled_from([*TEXT.split(" "), " ", "\n", "xq", "z'z"])).map("".join))
def test_a_word_that_is_a_token_may_be_that_token_whatever_its_merges(text: str) -> None:
    tokens = dict.fromkeys([*STREAM.vocab, "xq", "Ġwas", "Ġbelief"])  # words without merges
    vocab = {token: i for i, token in enumerate(tokens)}
    own = BPETokenizer(vocab, STREAM.merges, end_id=None, whole_words=True)
    assert own.encode("xq").tolist() == [vocab["xq"]]
    assert own.encode(text).tolist() == library(own).encode(text).ids
    assert tokenizer_of(own.to_json()).fingerprint == own.fingerprint


def test_special_tokens_are_never_read_from_a_text() -> None:
    vocab = {**DOCUMENTS.vocab, "<|user|>": 290}
    vocab = {token: i for i, token in enumerate(vocab)}
    own = BPETokenizer(vocab, DOCUMENTS.merges, end_id=len(vocab), special=["<|user|>"])
    for each in (own, tokenizer_of(own.to_json())):
        assert each.special == ("<|user|>",)
        assert len(each.encode("<|user|>")) > 1
        assert each.decode(each.encode(stand_in(0))) == stand_in(0)  # by a user, it is text
        ids = each.encode(str(Written(f"a{stand_in(0)}b", each.special)))
        assert ids.tolist() == [vocab["a"], vocab["<|user|>"], vocab["b"]]
        assert each.decode(ids) == "a<|user|>b"
        written = each.decode_written(ids)
        assert each.encode(written).tolist() == ids.tolist()
        lines = each.encode_lines(Written(f"a{stand_in(0)}\n{stand_in(1)}b\n", ("<|user|>", END)))
        assert lines.tolist() == [
            vocab["a"],
            vocab["<|user|>"],
            each.end_id,
            vocab["b"],
            each.end_id,
        ]
        assert each.count_bytes(lines) == 5  # a special token is one, as is the end
    assert [t["content"] for t in own.to_json()["added_tokens"]] == [END, "<|user|>"]


def test_of_many_special_tokens_all_are_kept() -> None:
    names = [f"<|unused-{i}|>" for i in range(40)] + ["<|user|>"]
    vocab = {token: i for i, token in enumerate([*DOCUMENTS.vocab, *names])}
    own = BPETokenizer(vocab, DOCUMENTS.merges, end_id=len(vocab), special=names)
    for each in (own, tokenizer_of(own.to_json())):
        assert each.special == tuple(names)
        ids = [*each.encode("a"), vocab["<|user|>"], vocab[names[0]], *each.encode("b<|user|>")]
        written = each.decode_written(ids)
        assert each.encode(written).tolist() == ids
        assert isinstance(written, Written)
        assert written.shown == "a<|user|><|unused-0|>b<|user|>"


def test_a_stand_in_that_somebody_typed_comes_back_as_text() -> None:
    vocab = {token: i for i, token in enumerate([*DOCUMENTS.vocab, "<|user|>"])}
    own = BPETokenizer(vocab, DOCUMENTS.merges, end_id=len(vocab), special=["<|user|>"])
    ids = own.encode(f"a{stand_in(0)}").tolist()
    assert own.encode(own.decode_written(ids)).tolist() == ids


def test_a_text_does_not_go_on_to_a_special_token() -> None:
    vocab = {token: i for i, token in enumerate([*DOCUMENTS.vocab, "<|user|>"])}
    own = BPETokenizer(vocab, DOCUMENTS.merges, end_id=len(vocab), special=["<|user|>"])
    assert own.begin_with(b"<").count(True) == 1  # the character itself
    assert not own.extends(b"<")
    assert split_prompt(own, "a<|us") == ([own.end_id, *own.encode("a<|us")], b"")


def test_special_tokens_are_known_where_the_bytes_of_their_stand_ins_are_not() -> None:
    vocab = {token: i for i, token in enumerate([*STREAM.vocab, "<|user|>"])}
    vocab["<|x|>"] = vocab.pop(LETTERS[stand_in(0).encode()[0]])
    own = BPETokenizer(vocab, [], end_id=None, special=["<|user|>"])
    ids = own.encode(Written(f"a{stand_in(0)}b", own.special))
    assert ids.tolist() == [vocab["a"], vocab["<|user|>"], vocab["b"]]
    with pytest.raises(DataError, match="unknown characters"):
        own.encode(stand_in(0))
    assert own.decode(own.encode(f"a{stand_in(0)}", unknown="skip")) == "a"


def test_texts_in_the_composed_form() -> None:
    own = BPETokenizer(STREAM.vocab, STREAM.merges, end_id=None, composed=True)
    apart, whole = "A\u030arhus bla\u030abær", "Århus blåbær"
    for each in (own, tokenizer_of(own.to_json())):
        assert each.encode(apart).tolist() == each.encode(whole).tolist()
        assert each.encode(apart).tolist() == library(own).encode(apart).ids
        assert each.decode(each.encode(apart)) == whole
    assert STREAM.encode(apart).tolist() != STREAM.encode(whole).tolist()
