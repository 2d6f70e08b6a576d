"""Encoding and decoding, and agreement with the Hugging Face library."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import tokenizers as hugging_face
from hypothesis import given
from hypothesis import strategies as st

from hornbook.errors import DataError, RunError
from hornbook.tokenizers import (
    END,
    ByteTokenizer,
    CharTokenizer,
    Tokenizer,
    build_tokenizer,
    load_tokenizer,
)

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)
NORDIC = "Ærø\nÅrhus\tblåbærgrød — naïve 日本語 😀👩‍👩‍👧 e\u0301\r\n"


@given(TEXTS, st.sampled_from(["char", "byte"]))
def test_decoding_is_the_inverse_of_encoding(text: str, kind: str) -> None:
    tokenizer = build_tokenizer(kind, text, documents=False)
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert ids.max() < tokenizer.vocab_size
    expected = sorted(set(text)) if kind == "char" else text.encode()
    wanted = [sorted(set(text)).index(c) for c in text] if kind == "char" else list(expected)
    assert ids.tolist() == wanted


@given(st.lists(TEXTS.filter(lambda t: "\n" not in t), min_size=1, max_size=5))
@pytest.mark.parametrize("kind", ["char", "byte"])
def test_documents_lie_between_end_ids(kind: str, documents: list[str]) -> None:
    tokenizer = build_tokenizer(kind, "\n".join(documents), documents=True)
    ids = tokenizer.encode_documents(documents)
    ends = np.flatnonzero(ids == tokenizer.end_id)
    pieces = [tokenizer.decode(ids[a:b]) for a, b in itertools.pairwise(ends)]
    assert pieces == documents
    assert ids[0] == ids[-1] == tokenizer.end_id


@pytest.mark.parametrize("kind", ["char", "byte"])
@pytest.mark.parametrize("documents", [True, False])
def test_hugging_face_encodes_and_decodes_the_same(
    kind: str, documents: bool, tmp_path: Path
) -> None:
    text = NORDIC.replace("\n", " ") if documents else NORDIC
    own = build_tokenizer(kind, text, documents=documents)
    own.save(tmp_path / "tokenizer.json")
    theirs = hugging_face.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert theirs.get_vocab_size() == own.vocab_size
    assert theirs.encode(text).ids == own.encode(text).tolist()
    assert theirs.decode(own.encode(text).tolist()) == text
    if documents:
        assert theirs.token_to_id(END) == own.end_id


@pytest.mark.parametrize("kind", ["char", "byte"])
@pytest.mark.parametrize("documents", [True, False])
def test_a_saved_tokenizer_comes_back(kind: str, documents: bool, tmp_path: Path) -> None:
    text = NORDIC.replace("\n", " ")
    own = build_tokenizer(kind, text, documents=documents)
    own.save(tmp_path / "tokenizer.json")
    back = load_tokenizer(tmp_path / "tokenizer.json")
    assert (back.kind, back.vocab_size, back.end_id) == (kind, own.vocab_size, own.end_id)
    assert back.encode(text).tolist() == own.encode(text).tolist()


@pytest.mark.parametrize(
    "content", ["", "{}", "[]", '{"model": {"type": "Unigram", "vocab": {"a": 0}}}', "[" * 5000]
)
def test_another_file_is_no_tokenizer(content: str, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(RunError, match="tokenizer"):
        load_tokenizer(tmp_path / "tokenizer.json")


def test_unknown_characters_are_named_or_skipped() -> None:
    tokenizer: Tokenizer = CharTokenizer(["a", "b"], documents=True)
    with pytest.raises(DataError, match=r"'z' \(U\+007A\).*2 characters: 'ab'.*--unknown skip"):
        tokenizer.encode("abz")
    with pytest.raises(DataError, match=r"'😀' \(U\+1F600\)"):
        tokenizer.encode("ab😀")
    assert tokenizer.encode("abz😀", unknown="skip").tolist() == [1, 2]
    assert ByteTokenizer(documents=False).encode("z").tolist() == [122]


def test_a_stream_has_no_end_and_starts_at_a_line_break() -> None:
    stream = build_tokenizer("char", "ab\n", documents=False)
    assert stream.end_id is None
    assert stream.decode([stream.start_id]) == "\n"
    with pytest.raises(DataError, match="no end-of-document id"):
        stream.encode_documents(["a"])


@pytest.mark.parametrize("kind", ["char", "byte"])
def test_a_corpus_may_contain_the_spelling_of_the_end(kind: str, tmp_path: Path) -> None:
    text = f"a{END}b"
    own = build_tokenizer(kind, text, documents=True)
    own.save(tmp_path / "tokenizer.json")
    theirs = hugging_face.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert theirs.encode(text).ids == own.encode(text).tolist()
    back = load_tokenizer(tmp_path / "tokenizer.json")
    assert back.encode(text).tolist() == own.encode(text).tolist()
    assert back.to_json() == own.to_json()
