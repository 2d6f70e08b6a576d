"""Reading strictly, and telling documents from a stream."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hornbook.config import DataConfig
from hornbook.data.corpora import CORPORA, load_corpus
from hornbook.data.text import detect_kind, read_corpus
from hornbook.errors import ConfigError, DataError

Write = Callable[[str, bytes | str], Path]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b" \n\n ", "is empty"),
        (b"aaaa\naaa\n", r"1 different symbol.*expected at least 2"),
        (b"\x7fELF\x00\x01\x02", "null byte at offset 4: a binary file"),
        (
            "æble\n".encode("latin-1"),
            r"byte 0xe6 at offset 0, which is not valid utf-8.*cp1252, latin-1.*--encoding",
        ),
        (b"abc\xff", r"byte 0xff at offset 3"),
    ],
)
def test_bad_bytes_are_told(write: Write, content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_corpus(write("text.txt", content))


def test_missing_files_and_directories_are_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read_corpus(tmp_path / "none.txt")
    with pytest.raises(DataError, match="is a directory"):
        read_corpus(tmp_path)
    with pytest.raises(DataError, match="did you mean 'shakespeare'"):
        load_corpus(DataConfig(corpus="shakespear"))


def test_another_encoding_is_read_when_named(write: Write) -> None:
    path = write("text.txt", "Ærø og Århus\n".encode("latin-1"))
    assert read_corpus(path, encoding="latin-1").text == "Ærø og Århus\n"
    with pytest.raises(ConfigError, match="'latin-17', expected one that Python knows"):
        read_corpus(path, encoding="latin-17")
    with pytest.raises(ConfigError, match="expected one that Python knows"):
        read_corpus(path, encoding="rot13")


def test_byte_order_marks_and_crlf_are_taken_out_and_told(write: Write) -> None:
    corpus = read_corpus(write("t.txt", b"\xef\xbb\xbfemma\r\nolivia\r\n"), kind="documents")
    assert corpus.documents == ("emma", "olivia")
    assert corpus.notes == ("byte order mark left out", "2 line ends CRLF read as LF")
    utf16 = read_corpus(write("u.txt", "emma\nolivia\n".encode("utf-16")), encoding="utf-16")
    assert utf16.text == "emma\nolivia\n"


POEM = "\n".join(f"a line of verse number {i} that is not so short, ending here" for i in range(30))
GAME = " ".join(f"{i}. e4 e5 Nf3 Nc6" for i in range(1, 20))


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("\n".join(f"name{i}" for i in range(40)), "documents"),
        ("\n".join(f"{GAME} {i}" for i in range(60)), "documents"),
        (
            "\n".join(f"a recipe with {i} eggs and some flour and milk" for i in range(300)),
            "documents",
        ),
        (POEM, "stream"),
        ("def f(x):\n    return x\n\n\nclass A:\n    pass\n" * 50, "stream"),
        ("First Citizen:\nSpeak, speak.\n\n" * 200, "stream"),
        ("one long line " * 1000, "stream"),
    ],
)
def test_kinds_are_told_apart(text: str, kind: str) -> None:
    found, why = detect_kind(text)
    assert found == kind
    assert why


def test_blank_lines_between_documents_are_left_out_and_told(write: Write) -> None:
    corpus = read_corpus(write("t.txt", "emma\n\nolivia\n \nava\n"), kind="documents")
    assert corpus.documents == ("emma", "olivia", "ava")
    assert corpus.notes == ("2 blank lines left out",)


def test_the_names_of_the_package_are_what_they_were() -> None:
    corpus = load_corpus(DataConfig(corpus="names"))
    assert len(set(corpus.documents)) == len(corpus.documents) == 29_910
    assert corpus.sha256 == CORPORA["names"].sha256


def test_a_changed_file_of_the_registry_is_refused(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("names.txt", "emma\nolivia\n")
    monkeypatch.setenv("HORNBOOK_DATA", str(tmp_path))
    with pytest.raises(DataError, match="not the makemore-names of the registry"):
        load_corpus(DataConfig(corpus="makemore-names"))


def test_what_cannot_be_fetched_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HORNBOOK_DATA", raising=False)
    monkeypatch.setenv("HORNBOOK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("hornbook.data.corpora.urllib.request.urlopen", _no_network)
    with pytest.raises(DataError, match=r"could not be fetched.*HORNBOOK_DATA.*`names`"):
        load_corpus(DataConfig(corpus="shakespeare"))
    assert not (tmp_path / "cache").exists()


def _no_network(*_: object, **__: object) -> None:
    raise OSError("no route")
