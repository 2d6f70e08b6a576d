"""Built for a corpus, saved, loaded again, and read by the Hugging Face library."""

from __future__ import annotations

from pathlib import Path

import pytest
import tokenizers as hugging_face

from hornbook.errors import RunError
from hornbook.tokenizers import END, build_tokenizer, load_tokenizer

NORDIC = "Ærø\nÅrhus\tblåbærgrød — naïve 日本語 😀👩‍👩‍👧 e\u0301\r\n"


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
    own = build_tokenizer(kind, NORDIC, documents=documents)
    own.save(tmp_path / "tokenizer.json")
    back = load_tokenizer(tmp_path / "tokenizer.json")
    assert (back.kind, back.vocab_size, back.end_id) == (kind, own.vocab_size, own.end_id)
    assert back.to_json() == own.to_json()


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


@pytest.mark.parametrize(
    "content", ["", "{}", "[]", '{"model": {"type": "Unigram", "vocab": {"a": 0}}}', "[" * 5000]
)
def test_another_file_is_no_tokenizer(content: str, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(RunError, match="tokenizer"):
        load_tokenizer(tmp_path / "tokenizer.json")
