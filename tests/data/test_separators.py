"""Documents that hold line breaks, cut out of a text by what stands between them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hornbook.data.separators import (
    SplitText,
    describe_separator,
    detect_separator,
    documents_of,
    moves,
    sequence,
    tune,
    whole,
    without_edges,
)
from hornbook.errors import DataError

PGN = '[Event "a"]\n[White "b"]\n\n1. e4 e5\n2. Nf3 1-0\n\n[Event "c"]\n\n1. d4 d5 0-1\n'
ABC = "%abc-2.1\n\nX:1\nT:One\nK:G\nabc|\ndef|\n\nwords between\n\nX:2\nT:Two\nK:D\nABC|\n"
FASTA = ">a one\nACDE\nFG\n>b\nHIK\n"
CASES = {
    "blank": ("a\n\n  b\nc\n \n\n\nd", ["a", "  b\nc", "d"]),
    "file": ("a\n\nb\n\0c", ["a\n\nb", "c"]),
    "pgn": (PGN, ["1. e4 e5 2. Nf3 1-0", "1. d4 d5 0-1"]),
    "abc": (ABC, ["T:One\nK:G\nabc|\ndef|", "T:Two\nK:D\nABC|"]),
    "fasta": (FASTA, ["ACDEFG", "HIK"]),
    "%": ("a 5% b\n%\nc\n  % \n%\nd", ["a 5% b", "c", "d"]),
    "<|end|>": ("a<|end|>b\nc<|end|>\nd", ["a", "b\nc", "d"]),
}


@pytest.mark.parametrize("separator", list(CASES))
@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_documents_do_not_depend_on_the_pieces(separator: str, size: int) -> None:
    text, documents = CASES[separator]
    pieces = [text[i : i + size] for i in range(0, len(text), size)]
    split = SplitText(pieces, separator, "t", begun=text)
    found = "".join(split)
    assert found == "".join(f"{document}\0" for document in documents)
    assert split.n_documents == len(documents)
    assert list(documents_of(pieces, separator, "t")) == documents


@given(
    documents=st.lists(
        st.text(st.sampled_from("ab \n"), min_size=1).map(lambda d: re.sub(r"\n\s*\n", "\n", d)),
        max_size=8,
    ),
    size=st.integers(1, 9),
)
def test_blank_lines_part_what_they_were_put_between(documents: list[str], size: int) -> None:
    documents = [d for d in map(without_edges, documents) if d]
    text = "\n\n".join(documents)
    pieces = [text[i : i + size] for i in range(0, len(text), size)]
    assert list(documents_of(pieces, "blank", "t")) == documents


def test_a_marker_that_is_nowhere_is_refused_with_the_separators() -> None:
    with pytest.raises(DataError, match=r"t: found no 'blnk' in the first 3 .*line, blank, file"):
        list(SplitText(["a\nb"], "blnk", "t", begun="a\nb"))
    assert list(documents_of(["a\n", "b"], "%", "stdin")) == ["a\nb"]  # one text, nothing between


def test_a_document_that_is_too_long_is_refused() -> None:
    with pytest.raises(DataError, match=r"a document of more than 10 characters.*--kind stream"):
        list(SplitText(["a\n"] * 20, "blank", "t", longest=10))
    assert list(SplitText(["a\n\n"] * 20, "blank", "t", longest=10))


@pytest.mark.parametrize(
    ("text", "found"),
    [(PGN, "pgn"), (ABC, "abc"), ("X:1\nT:a\nK:G\nabc\n", "abc"), (">a\n" + "ACDE\n" * 30, "fasta"),
     ("X: the unknown\n", ""), ("> quoted words of a letter\n> and more\n", ""), ("", "")],
)  # fmt: skip
def test_texts_that_say_what_they_are_are_recognized(text: str, found: str) -> None:
    assert detect_separator(text) == found


def test_parts_of_documents_that_are_left_out() -> None:
    assert moves('[Event "a"]\n; a comment\n1. e4\ne5') == "1. e4 e5"
    assert tune("words between tunes\n") == "" == sequence("; a comment\n")
    assert moves("1. e4 e5\n") == ""  # what precedes the first header
    assert without_edges("\n \n  a\n\nb \n\n") == "  a\n\nb"
    assert describe_separator("---") == "documents between '---'"
    assert list(whole(["a", "b\nc", "\0d"])) == ["ab\n", "c\0", "d"]
