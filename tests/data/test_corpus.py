"""A corpus holds its text, or an excerpt of it, and returns the whole of it in pieces."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hornbook.data.corpus import read_corpus
from hornbook.data.limits import Limits
from hornbook.errors import ConfigError, DataError
from tests.data.texts import BOTTLES, FROM_FILE, FROM_MEMORY, NAMES

Write = Callable[[str, bytes | str], Path]


@pytest.mark.parametrize("limits", [FROM_MEMORY, FROM_FILE])
def test_the_pieces_are_the_whole_text(write: Write, limits: Limits) -> None:
    stream = read_corpus(write("t.txt", BOTTLES), kind="stream", limits=limits)
    assert "".join(stream.pieces()) == BOTTLES
    lines = "\n \n".join(NAMES)  # with blank lines between them
    documents = read_corpus(write("n.txt", lines), kind="documents", limits=limits)
    pieces = list(documents.pieces())
    assert "".join(pieces) == "".join(f"{name}\n" for name in NAMES)
    assert all(piece.endswith("\n") for piece in pieces)


def test_a_text_that_is_not_in_memory_holds_its_beginning(write: Write) -> None:
    path = write("n.txt", "\n".join(NAMES))
    whole = read_corpus(path, kind="documents", limits=FROM_MEMORY)
    begun = read_corpus(path, kind="documents", limits=FROM_FILE)
    assert whole.in_memory
    assert whole.documents == tuple(NAMES)
    assert not begun.in_memory
    assert begun.documents == tuple(NAMES[: len(begun.documents)])
    assert 300 < len(begun.text) <= 400
    assert begun.alphabet == whole.alphabet
    assert "400 characters of each part" in begun.notes[-1]


def test_byte_order_marks_line_ends_and_blank_lines_are_noted(write: Write) -> None:
    raw = b"\xef\xbb\xbfemma\r\n\r\nolivia\r\n \r\nava"
    corpus = read_corpus(write("t.txt", raw), kind="documents")
    assert corpus.documents == ("emma", "olivia", "ava")
    assert corpus.notes == (
        "byte order mark left out",
        "4 line ends CRLF read as LF",
        "2 blank lines left out",
    )
    utf16 = read_corpus(write("u.txt", "emma\nolivia\n".encode("utf-16")), encoding="utf-16")
    assert utf16.text == "emma\nolivia\n"


@pytest.mark.parametrize(
    ("end", "note"),
    [
        ("\r\r\n", "400 line ends CR CR LF read as LF"),
        ("\r\n", "400 line ends CRLF read as LF"),
        ("\r", "400 line ends CR read as LF"),
    ],
)
def test_every_kind_of_line_end_makes_the_same_documents(write: Write, end: str, note: str) -> None:
    raw = "".join(f"name{i:03}{end}" for i in range(400)).encode()
    corpus = read_corpus(write("t.txt", raw))
    assert corpus.documents == tuple(f"name{i:03}" for i in range(400))
    assert corpus.notes == (note,)
    joined = read_corpus(write("j.txt", raw.removesuffix(end.encode()) + b"\n"))
    assert joined.documents == corpus.documents


def test_carriage_returns_that_end_no_line_are_said(write: Write) -> None:
    corpus = read_corpus(write("t.txt", b"ab\rcd\nab\ncd\n"), kind="documents")
    assert corpus.documents == ("ab\rcd", "ab", "cd")
    assert corpus.notes == ("1 CR that end no line left in the text",)


def test_utf8_that_is_read_in_another_encoding_is_said(write: Write) -> None:
    path = write("t.txt", "rød grød\nmed fløde\n")
    (note,) = read_corpus(path, kind="documents", encoding="latin-1").notes
    assert note.startswith("read as latin-1, but the file is valid UTF-8 as well")
    plain = write("p.txt", "rod\nmed\n")
    assert not read_corpus(plain, kind="documents", encoding="latin-1").notes


def test_another_encoding_is_read_when_named(write: Write) -> None:
    path = write("text.txt", "Ærø og Århus\n".encode("latin-1"))
    assert read_corpus(path, encoding="latin-1").text == "Ærø og Århus\n"
    with pytest.raises(ConfigError, match="'latin-17', expected one that Python knows"):
        read_corpus(path, encoding="latin-17")


def test_a_text_that_changes_while_it_is_read_is_refused(write: Write) -> None:
    path = write("t.txt", BOTTLES)
    corpus = read_corpus(path, kind="stream", limits=FROM_FILE)
    path.write_text(BOTTLES + "more")
    with pytest.raises(DataError, match="has changed while it was read"):
        list(corpus.pieces())
