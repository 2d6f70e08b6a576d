"""Texts on one line of a terminal."""

from __future__ import annotations

import pytest

from hornbook.visible import visible


def test_control_characters_are_escaped() -> None:
    assert visible("a\tb\x1b[2J\r\n\x00") == "a\\tb\\x1b[2J\\r\\n\\x00"
    assert visible("a\u202eb\u2066c\ud800\ufeff") == "a\\u202eb\\u2066c\\ud800\\ufeff"


@pytest.mark.parametrize(
    "text",
    [
        "👩‍💻", "क्‍ष", "می‌خواهم", "prix\xa0: 3\u202f€", "漢\u3000字", "co\xadop", "ไทย\u200bไทย", "é",
        "e\u0301",
    ],
    ids=ascii,
)  # fmt: skip
def test_what_belongs_to_words_is_printed_as_it_is(text: str) -> None:
    assert visible(text) == text


@pytest.mark.parametrize("character", ["\u200d", "\u200b", "\xa0", "\u3000"], ids=ascii)
def test_an_invisible_character_alone_is_escaped(character: str) -> None:
    """As a token in a table, where it could not be seen."""
    assert visible(character) == ascii(character)[1:-1]
