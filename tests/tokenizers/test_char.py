"""One id a character."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hornbook.errors import DataError
from hornbook.tokenizers.char import CharTokenizer, code_points, latin_1


def test_characters_are_sorted_after_the_end() -> None:
    tokenizer = CharTokenizer.from_text("bca\nb", documents=True)
    assert tokenizer.characters == ("a", "b", "c")
    assert (tokenizer.end_id, tokenizer.vocab_size) == (0, 4)
    assert tokenizer.encode_lines("ab\nc\n").tolist() == [1, 2, 0, 3, 0]
    assert "".join(map(tokenizer.symbol, range(4))) == ".abc"
    assert CharTokenizer.from_text("bca\nb", documents=False).characters == ("\n", "a", "b", "c")


def test_unknown_characters_are_named_or_skipped() -> None:
    tokenizer = CharTokenizer(["a", "b"], documents=True)
    with pytest.raises(DataError, match=r"'z' \(U\+007A\).*2 characters: 'ab'.*--unknown skip"):
        tokenizer.encode("abz")
    with pytest.raises(DataError, match=r"'😀' \(U\+1F600\)"):
        tokenizer.encode("ab😀")
    with pytest.raises(DataError, match=r"and 2 more"):
        tokenizer.encode("cdefghi")
    assert tokenizer.encode("abz😀", unknown="skip").tolist() == [1, 2]


@pytest.mark.parametrize("characters", [[], ["a", "a"], ["ab"]])
def test_characters_are_single_and_different(characters: list[str]) -> None:
    with pytest.raises(ValueError, match="expected different single ones"):
        CharTokenizer(characters, documents=False)


@given(st.text())
def test_code_points_are_those_of_python(text: str) -> None:
    assert code_points(text).tolist() == [ord(c) for c in text]
    latin = latin_1(text)
    assert (latin is None) == any(ord(c) > 255 for c in text)


def test_code_points_are_as_narrow_as_the_text_allows() -> None:
    assert [code_points(t).dtype for t in ("ÿ", "Ā", "😀")] == [np.uint8, np.uint16, np.uint32]


@pytest.mark.parametrize(
    ("characters", "text", "advice"),
    [
        ("aem", "Emma", "Write them in lower case ('emma'), or skip them (--unknown skip)"),
        ("ACGT", "gaTtaca", "Write them in upper case ('GATTACA'), or skip"),
        ("aem", "Emma " * 20, "Take them out, or skip"),  # the space is unknown in any case
        ("aem ", "Emma " * 20, "Write them in lower case, or skip"),  # too long to repeat
        ("aem", "Émma", "Take them out, or skip"),
        ("aem", "Em.", "Take them out, or skip"),
        ("AEMaem", "Qemma", "Take them out, or skip"),
        ("SZ", "ß", "Write them in upper case ('SS')"),
    ],
)
def test_another_case_is_proposed_where_only_the_case_is_unknown(
    characters: str, text: str, advice: str
) -> None:
    tokenizer = CharTokenizer(sorted(characters), documents=True)
    with pytest.raises(DataError) as error:
        tokenizer.encode(text)
    assert advice in str(error.value)
    with pytest.raises(DataError) as error:
        tokenizer.encode_documents([text])
    assert advice in str(error.value)


def test_an_escape_that_was_typed_for_a_tab_is_recognized() -> None:
    tokenizer = CharTokenizer("\t0a", documents=True)
    with pytest.raises(DataError, match=r"Write tabs and line ends as such, not as '\\t'"):
        tokenizer.encode("0\\ta")
    with pytest.raises(DataError, match=r"Write tabs and line ends as such, not as '\\t'"):
        tokenizer.encode_documents(["0\\ta"])
    with pytest.raises(DataError, match="Take them out"):
        tokenizer.encode("0\\x")


def test_the_end_is_shown_as_no_character_of_the_text() -> None:
    assert CharTokenizer("ab", documents=True).symbol(0) == "."
    assert CharTokenizer(".ab", documents=True).symbol(0) == "<end>"
    assert CharTokenizer(".ab", documents=False).symbol(0) == "."
