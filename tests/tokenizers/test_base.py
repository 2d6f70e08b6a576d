"""What every tokenizer does, whatever its tokens are."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hornbook.errors import DataError
from hornbook.tokenizers import END, build_tokenizer
from hornbook.tokenizers.base import end_spelling

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)
DOCUMENTS = st.lists(TEXTS.filter(lambda t: "\n" not in t), min_size=1, max_size=5)


@given(TEXTS, st.sampled_from(["char", "byte"]))
def test_decoding_is_the_inverse_of_encoding(text: str, kind: str) -> None:
    tokenizer = build_tokenizer(kind, text, documents=False)
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert ids.max() < tokenizer.vocab_size
    characters = sorted(set(text))
    expected = [characters.index(c) for c in text] if kind == "char" else list(text.encode())
    assert ids.tolist() == expected


@given(DOCUMENTS, st.sampled_from(["char", "byte"]))
def test_documents_lie_between_end_ids(documents: list[str], kind: str) -> None:
    tokenizer = build_tokenizer(kind, "\n".join(documents), documents=True)
    ids = tokenizer.encode_documents(documents)
    ends = np.flatnonzero(ids == tokenizer.end_id)
    assert [tokenizer.decode(ids[a:b]) for a, b in itertools.pairwise(ends)] == documents
    assert ids[0] == ids[-1] == tokenizer.end_id
    assert tokenizer.decode_documents(ids) == tuple(documents)
    assert tokenizer.decode_lines(ids) == "\n" + "".join(f"{d}\n" for d in documents)


@given(DOCUMENTS, st.sampled_from(["char", "byte"]))
def test_bytes_are_counted_one_for_each_end(documents: list[str], kind: str) -> None:
    tokenizer = build_tokenizer(kind, "\n".join(documents), documents=True)
    ids = tokenizer.encode_documents(documents)
    assert tokenizer.count_bytes(ids) == len("".join(documents).encode()) + len(documents) + 1


@pytest.mark.parametrize("kind", ["char", "byte"])
def test_a_stream_has_no_end_and_starts_at_a_line_break(kind: str) -> None:
    stream = build_tokenizer(kind, "ab\n", documents=False)
    assert stream.end_id is None
    assert stream.decode([stream.start_id]) == "\n"
    with pytest.raises(DataError, match="no end-of-document id"):
        stream.encode_documents(["a"])
    assert build_tokenizer("char", "ab", documents=False).start_id == 0


def test_the_end_is_spelled_as_the_text_does_not() -> None:
    assert end_spelling("a text") == END == "<|endoftext|>"
    assert end_spelling(f"{END}<|endoftext-1|>") == "<|endoftext-2|>"
