"""Tokenizers that are taken over for another text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import tokenizers as hugging_face

from hornbook.errors import ConfigError
from hornbook.tokenizers import END, BPETokenizer, Tokenizer, build_tokenizer
from hornbook.tokenizers.bpe import LETTERS, train_bpe
from hornbook.tokenizers.existing import existing_tokenizer
from hornbook.tokenizers.registry import load_tokenizer
from hornbook.tokenizers.words import WORDS, Words

TEXT = "the other theory of the others, 12 × the theory\n" * 9


def foreign(folder: Path, words: Words, added: list[str], **changes: Any) -> Path:
    """A tokenizer.json as the library of Hugging Face writes it, added tokens after the others."""
    learned = train_bpe([TEXT], 280, documents=False)
    data = BPETokenizer(learned.vocab, learned.merges, end_id=None, words=words).to_json()
    data["model"] |= changes
    own = hugging_face.Tokenizer.from_str(json.dumps(data))
    own.add_special_tokens(added)
    own.save(str(folder / "tokenizer.json"))
    return folder / "tokenizer.json"


def again(own: Tokenizer, folder: Path) -> Tokenizer:
    own.save(folder / "again.json")
    return load_tokenizer(folder / "again.json")


@pytest.mark.parametrize("words", WORDS, ids=lambda words: words.name)
@pytest.mark.parametrize("documents", [True, False])
def test_the_ids_of_the_library(tmp_path: Path, words: Words, documents: bool) -> None:
    file = foreign(tmp_path, words, ["<pad>", END, "<｜x｜>"])
    library = hugging_face.Tokenizer.from_file(str(file))
    library.encode_special_tokens = True
    own = existing_tokenizer(str(file), TEXT, documents=documents)
    assert own.vocab_size == library.get_vocab_size()
    assert own.end_id == (library.token_to_id(END) if documents else None)
    for text in (TEXT, f"{END}<pad> the ñandú 123'll"):
        for each in (own, again(own, tmp_path)):
            assert each.encode(text).tolist() == library.encode(text).ids
            assert each.decode(each.encode(text)) == text
    assert own.fingerprint == again(own, tmp_path).fingerprint


def test_documents_get_an_end_where_there_is_none(tmp_path: Path) -> None:
    file = foreign(tmp_path, WORDS[0], [])
    own = existing_tokenizer(str(file), TEXT, documents=True)
    assert own.end_id == hugging_face.Tokenizer.from_file(str(file)).get_vocab_size()
    assert own.end_id == own.vocab_size - 1
    assert own.encode_lines("the\n").tolist()[-1] == own.end_id


@pytest.mark.parametrize("kind", ["char", "byte", "bpe"])
@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("after", [True, False])
def test_tokenizers_of_runs(tmp_path: Path, kind: str, before: bool, after: bool) -> None:
    own = build_tokenizer(kind, TEXT, documents=before, vocab_size=290, training=lambda: [TEXT])
    own.save(tmp_path / "tokenizer.json")
    text = "the theory\n" if after else "the theory"
    found = existing_tokenizer(str(tmp_path), text, documents=after)
    assert (found.kind, found.end_id is not None) == (kind, after)
    ids = found.encode_lines(text) if after else found.encode(text)
    assert (found.decode_lines(ids) if after else found.decode(ids)) == text
    if before == after:
        assert found.to_json() == own.to_json()
        assert ids.tolist() == (own.encode_lines(text) if after else own.encode(text)).tolist()
    assert again(found, tmp_path).fingerprint == found.fingerprint


def refused(source: Path | str, text: str = "the") -> str:
    with pytest.raises(ConfigError) as caught:
        existing_tokenizer(str(source), text, documents=True)
    return str(caught.value)


def test_what_cannot_be_taken_over_is_said(tmp_path: Path) -> None:
    assert "did you mean 'bpe'" in refused("bpee")
    assert "expected 'char', 'byte', 'bpe', 'auto', or a run" in refused(tmp_path)
    file = tmp_path / "tokenizer.json"
    for text in ("", "[]", "{}", '{"model": 3}', '{"model": {"type": "BPE"}}', "\x00"):
        file.write_text(text)
        assert str(file) in refused(file)
    build_tokenizer("char", "abc", documents=True).save(file)
    assert "1 character" in refused(file, "abcñ")
    assert "'ñ' (U+00F1)" in refused(file, "abcñ")

    def changed(**changes: Any) -> str:
        data = json.loads(foreign(tmp_path, WORDS[0], [END]).read_text("utf-8"))
        data["model"] |= changes.pop("model", {})
        file.write_text(json.dumps(data | changes))
        return refused(file)

    vocab = {letter: i for i, letter in enumerate(LETTERS)}
    merges = [["t", "h"]]
    assert "normalizer" in changed(normalizer={"type": "NFD"})
    assert "a way that is not known" in changed(pre_tokenizer={"type": "Whitespace"})
    assert "type 'Unigram'" in changed(model={"type": "Unigram"})
    assert "no id for 128 of the 256 bytes" in changed(
        model={"vocab": {t: i for t, i in vocab.items() if i < 128}, "merges": merges}
    )
    assert "found no id 256" in changed(model={"vocab": vocab | {"th": 300}, "merges": merges})
    assert "letters that stand for bytes" in changed(
        model={"vocab": vocab | {"▁": 256}, "merges": merges}
    )
