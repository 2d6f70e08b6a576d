from __future__ import annotations

from pathlib import Path

import pytest

from hornbook.export.lesson.text import read_tokenizer
from hornbook.tokenizers import build_tokenizer
from tests.export.lesson.common import saved_tokenizer

TEXT = "a.b\nñandú 東京 👩‍🔬\t<|endoftext|> \ud800"


@pytest.mark.parametrize("documents", [True, False])
@pytest.mark.parametrize("kind", ["char", "byte"])
def test_it_encodes_and_decodes_as_hornbook(tmp_path: Path, kind: str, documents: bool) -> None:
    own = build_tokenizer(kind, TEXT, documents=documents)
    lesson = read_tokenizer(saved_tokenizer(tmp_path, kind, TEXT, documents=documents))
    assert (lesson.vocab_size, lesson.end_id) == (own.vocab_size, own.end_id)
    text = TEXT.replace("\n", "") if documents else TEXT
    ids = own.encode(text).tolist()
    assert lesson.encode(text) == ids
    assert lesson.decode(ids) == own.decode(ids)
    assert lesson.decode(range(own.vocab_size)) == own.decode(range(own.vocab_size))
    assert lesson.start("") == [own.start_id]
    assert lesson.start(text)[-len(ids) :] == ids
    assert len(lesson.start(text)) == len(ids) + documents


def test_a_stream_without_line_breaks_starts_with_its_first_character(tmp_path: Path) -> None:
    assert read_tokenizer(saved_tokenizer(tmp_path, "char", "abc", documents=False)).start("") == [
        0
    ]


def test_an_unknown_character_ends_the_program(tmp_path: Path) -> None:
    lesson = read_tokenizer(saved_tokenizer(tmp_path, "char", "abc", documents=True))
    with pytest.raises(SystemExit, match=r"unknown characters: \['!', 'x'\]"):
        lesson.encode("axb!")
