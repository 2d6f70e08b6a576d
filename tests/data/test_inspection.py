"""One pass finds what is in a text, whatever its size; the next start need not make it again."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hornbook.config.sections import DataConfig
from hornbook.data.cache import CacheError
from hornbook.data.inspection import inspect, inspect_once
from hornbook.data.limits import Limits
from hornbook.data.sources.source import open_source
from hornbook.errors import DataError
from hornbook.tokenizers import build_tokenizer
from tests.data.texts import BOTTLES, FROM_FILE, NAMES, TEXTS, plain

Write = Callable[[str, bytes | str], Path]
SHARED = HealthCheck.function_scoped_fixture


@settings(deadline=None, suppress_health_check=[SHARED])
@given(content=TEXTS, chunk=st.integers(4, 23), kind=st.sampled_from(["documents", "stream"]))
def test_the_facts_are_those_of_the_whole_text(
    content: str, chunk: int, kind: str, tmp_path: Path
) -> None:
    path = tmp_path / "text.txt"
    raw = content.encode()
    path.write_bytes(raw)
    text = plain(content)
    lines = text.split("\n")
    try:
        found, kept = inspect(path, kind, "utf-8", Limits(chunk=chunk), keep=None)
    except DataError:
        assert len(set(text) - {"\n"}) < 2 or not text.strip(" \t\n\r\v\f")
        return
    assert kept == text
    assert (found.sha256, found.n_bytes) == (hashlib.sha256(raw).hexdigest(), len(raw))
    documents = [line for line in lines if line.strip()]
    if kind == "documents":
        assert found.n_documents == len(documents)
        assert found.n_blank == len(lines) - len(documents) - (lines[-1] == "")
        assert found.n_characters - found.n_lines == sum(map(len, lines))
    else:
        assert (found.n_characters, found.n_lines) == (len(text), text.count("\n"))
    for tokens in ("char", "byte"):  # the alphabet stands for the text, spellings of ends too
        ours, theirs = (
            build_tokenizer(tokens, t, documents=kind == "documents").to_json()
            for t in (found.alphabet, text)
        )
        assert ours == theirs


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b" \n\n ", "is empty"),
        (b"aaaa\naaa\n", r"1 different character, expected at least 2"),
        (b"\x7fELF\x00\x01\x02", "null byte at offset 4: a binary file"),
        (
            "æble\n".encode("latin-1"),
            r"byte 0xe6 at offset 0, which is not valid utf-8.*cp1252, latin-1.*--encoding",
        ),
        (b"abc\xff", r"byte 0xff at offset 3"),
        (b"\xef\xbb\xbfemma\xff", r"byte 0xff at offset 7"),  # the mark counts
    ],
)
@pytest.mark.parametrize("chunk", [5, 1 << 18])
def test_bad_bytes_are_named(write: Write, content: bytes, message: str, chunk: int) -> None:
    with pytest.raises(DataError, match=message):
        inspect(write("t.txt", content), "auto", "utf-8", Limits(chunk=chunk), keep=None)


def test_a_kind_by_the_beginning_alone_says_so(write: Write) -> None:
    path = write("t.txt", "\n".join(NAMES))
    whole, _ = inspect(path, "auto", "utf-8", FROM_FILE, keep=None)
    begun, text = inspect(path, "auto", "utf-8", FROM_FILE, keep=200)
    assert whole.kind == begun.kind == "documents"
    assert "in its first" not in whole.why_kind
    assert f"in its first {len(text)} characters" in begun.why_kind
    assert inspect(path, "stream", "utf-8", FROM_FILE, keep=None)[0].why_kind == "as requested"


def test_a_file_is_inspected_again_only_if_it_was_changed(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write("t.txt", BOTTLES)
    first = inspect_once(path, "stream", "utf-8", FROM_FILE)
    assert first[1] == BOTTLES[: len(first[1])]
    assert inspect_once(path, "stream", "utf-8", FROM_FILE) == first  # `seconds`, too
    os.utime(path, ns=(1, 1))
    touched = inspect_once(path, "stream", "utf-8", FROM_FILE)
    assert touched[0].state[1] == 1
    assert touched[0].sha256 == first[0].sha256
    path.write_text("another text")
    assert inspect_once(path, "stream", "utf-8", FROM_FILE)[0].n_characters == 12


def test_a_cache_that_cannot_be_written_is_named(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HORNBOOK_CACHE", str(write("file", "no folder")))
    with pytest.raises(CacheError, match=r"cannot be written.*HORNBOOK_CACHE"):
        inspect_once(write("t.txt", BOTTLES), "stream", "utf-8", FROM_FILE)


def test_many_characters_that_occur_once_are_said_with_the_choice_of_bytes(write: Write) -> None:
    common = "".join(map(chr, range(0x4E00, 0x4E00 + 200)))
    rare = "".join(map(chr, range(0x5E00, 0x5E00 + 80)))
    for limits in (Limits(), FROM_FILE):
        keep = None if limits == Limits() else 1000
        text = (common * 2 + rare + "\n") * 1
        found, _ = inspect(write("t.txt", text), "stream", "utf-8", limits, keep=keep)
        (note,) = found.notes
        assert "81 of 281 different characters" in note
        assert "--tokenizer byte" in note
    assert (
        inspect(write("t.txt", common * 3), "stream", "utf-8", Limits(), keep=None)[0].notes == ()
    )
    few = write("t.txt", "ab" * 9 + rare)
    assert inspect(few, "stream", "utf-8", Limits(), keep=None)[0].notes == ()


@pytest.mark.parametrize("keep", [None, 40])
def test_documents_with_line_breaks_are_counted_without_their_ends(
    write: Write, keep: int | None
) -> None:
    documents = [f"a{i}\nb" for i in range(9)]
    path = write("t.txt", "\n\n".join(documents))
    found, text = inspect(path, "auto", "utf-8", FROM_FILE, keep=keep, separator="blank")
    assert (found.kind, found.separator, found.document_end) == ("documents", "blank", "\0")
    assert (found.n_documents, found.n_in_documents) == (9, sum(map(len, documents)))
    assert found.characters == ["\n", *"012345678", "a", "b"]
    whole = "".join(f"{document}\0" for document in documents)
    assert text == (whole if keep is None else whole[: whole.rfind("\0", 0, keep) + 1])


def test_a_text_without_the_headers_that_separate_it_says_so(write: Write) -> None:
    path = write("t.txt", "emma\nava\n" * 40)
    with pytest.raises(DataError, match=r"no line that begins with >, expected sequences in FASTA"):
        inspect(path, "auto", "utf-8", Limits(), keep=None, separator="fasta")


def test_records_without_an_answer_are_not_called_empty(write: Write) -> None:
    said = '{"role": "human", "content": "Where?"}, {"role": "bot", "content": "Here"}'
    talk = f'{{"messages": [{said}]}}\n'
    source = open_source(write("t.jsonl", talk * 3), DataConfig())
    expected = r"none of its 3 records has text in messages of the role .*found 'bot', 'human'"
    with pytest.raises(DataError, match=expected):
        inspect(source, "auto", "utf-8", Limits(), keep=None)


def test_json_in_a_file_of_text_is_pointed_out(write: Write) -> None:
    found, _ = inspect(
        write("t.txt", '{"text": "emma"}\n' * 80), "auto", "utf-8", Limits(), keep=None
    )
    assert any("--format jsonl" in note for note in found.notes)
    found, _ = inspect(write("u.txt", "emma\nava\n" * 40), "auto", "utf-8", Limits(), keep=None)
    assert not found.notes
