from __future__ import annotations

from pathlib import Path

import pytest

from hornbook.export.lesson.bpe import BPETokenizer as LessonTokenizer
from hornbook.export.lesson.text import read_tokenizer
from hornbook.generate.decoder import split_prompt
from hornbook.tokenizers import BPETokenizer
from hornbook.tokenizers.bpe import LETTERS, train_bpe
from hornbook.tokenizers.words import WORDS, Words
from tests.web.test_tokenizer import random_texts, with_special_tokens


@pytest.mark.parametrize("words", WORDS, ids=lambda words: words.name)
@pytest.mark.parametrize("documents", [True, False])
def test_it_encodes_and_decodes_as_hornbook(tmp_path: Path, words: Words, documents: bool) -> None:
    learned = train_bpe(random_texts(400), 600, documents=documents)
    own = with_special_tokens(learned, words)
    own.save(tmp_path / "tokenizer.json")
    lesson = read_tokenizer(tmp_path / "tokenizer.json")
    assert isinstance(lesson, LessonTokenizer)
    assert (lesson.vocab_size, lesson.end_id) == (own.vocab_size, own.end_id)
    for text in [*random_texts(500), "", "\ud800 half of a pair", "a<", "a<|us", "<|user|>us"]:
        ids = own.encode(text).tolist()
        assert lesson.encode(text) == ids
        assert lesson.decode(ids) == own.decode(ids)
        start, held = split_prompt(own, text)
        first = [i for i, begins in enumerate(own.begin_with(held)) if begins] if held else []
        assert lesson.split(text) == (start, first, len(held))


def test_it_takes_words_that_are_tokens_and_refuses_bytes_without_ids(tmp_path: Path) -> None:
    learned = train_bpe(random_texts(400), 400, documents=False)
    vocab = {t: i for i, t in enumerate(t for t in learned.vocab if t != LETTERS[4])}
    whole = {**vocab, "xqz": len(vocab)}
    own = BPETokenizer(whole, learned.merges, end_id=None, whole_words=True, composed=True)
    own.save(tmp_path / "tokenizer.json")
    lesson = read_tokenizer(tmp_path / "tokenizer.json")
    assert lesson.encode("xqz xqz e\u0301") == own.encode("xqz xqz é").tolist()
    assert lesson.encode("xqz")[0] == len(vocab)
    with pytest.raises(SystemExit, match="unknown bytes"):
        lesson.encode("a\x04")
