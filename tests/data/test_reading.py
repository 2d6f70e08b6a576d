"""Files in pieces: line ends, whole lines, and what cannot be read."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hornbook.data.reading import (
    LINE_END_SAMPLE,
    TextReader,
    beginning,
    detect_encoding,
    file_state,
    has_cr_ends,
    lines_of,
    refuse_changed,
    whole_lines,
    without_blank_lines,
)
from hornbook.errors import DataError
from tests.data.texts import TEXTS, plain

Write = Callable[[str, bytes | str], Path]
SHARED = HealthCheck.function_scoped_fixture  # the folder is, and each example writes its own file


def reader(path: Path, chunk: int = 5, encoding: str = "utf-8") -> TextReader:
    return TextReader(path, encoding, cr_ends=has_cr_ends(path, encoding, chunk), chunk=chunk)


@settings(deadline=None, suppress_health_check=[SHARED])
@given(content=TEXTS, chunk=st.integers(4, 23), encoding=st.sampled_from(["utf-8", "utf-16"]))
def test_line_ends_do_not_depend_on_the_pieces(
    content: str, chunk: int, encoding: str, tmp_path: Path
) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes(content.encode(encoding))
    found = reader(path, chunk, encoding)
    pieces = list(found)
    assert "".join(pieces) == plain(content)
    assert all(pieces)
    before, after = content.count("\n"), plain(content).count("\n")
    assert found.crlf + found.cr_crlf == content.count("\r\n")
    assert found.cr == after - before
    assert found.kept_cr == plain(content).count("\r")
    by_lf_alone = content.replace("\r\n", "\n")  # as it was read before
    by_lf_alone = by_lf_alone if "\n" in by_lf_alone else by_lf_alone.replace("\r", "\n")
    assert found.version == 2 or plain(content) == by_lf_alone


@pytest.mark.parametrize(
    ("raw", "ends"),
    [
        ("emma\rolivia\rava\n", True),  # joined with a LF at the end
        ("emma\rolivia\r", True),
        ("emma\r\nolivia\r\n", False),
        ("emma\r\r\nolivia\r\r\n", False),
        ("a\rb\nc\nd\n", False),  # a CR inside a line
        ("a" * LINE_END_SAMPLE + "\r\nb\n", False),
        ("a" * (LINE_END_SAMPLE - 1) + "\r\nb\n", False),
        ("a" * (LINE_END_SAMPLE - 1) + "\rb\r", True),
        ("a" * 2 * LINE_END_SAMPLE + "\r", True),
        ("ab", False),
    ],
)
def test_a_cr_ends_lines_where_there_are_more_of_them(write: Write, raw: str, ends: bool) -> None:
    assert has_cr_ends(write("t.txt", raw), "utf-8", 1 << 12) is ends


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "gb18030"])
def test_a_byte_order_mark_is_left_out_of_every_encoding(write: Write, encoding: str) -> None:
    found = reader(write("t.txt", "\ufeffemma\nolivia\n".encode(encoding)), encoding=encoding)
    assert "".join(found) == "emma\nolivia\n"
    assert found.byte_order_mark
    assert found.version == (1 if encoding == "utf-8" else 2)


@pytest.mark.parametrize(
    ("text", "written", "expected"),
    [
        ("smørbrød", "utf-8", "utf-8"),
        ("smørbrød", "utf-8-sig", "utf-8"),
        ("smørbrød", "latin-1", "cp1252"),
        ("smørbrød", "utf-16", "utf-16"),
        ("smørbrød", "utf-32", "utf-32"),
        ("name", "utf-16-le", "cp1252"),  # valid UTF-8, but for its null bytes
    ],
)
def test_an_encoding_is_detected_from_the_file(
    write: Write, text: str, written: str, expected: str
) -> None:
    path = write("t.txt", f"{text}\n".encode(written) * 9)
    assert detect_encoding(path, "cp1252", 8) == expected


@given(
    st.lists(st.sampled_from(["a", "日", " ", "\n", "\r\n", "\r\r\n", "\r"]), min_size=4),
    st.integers(4, 9),
)
def test_lines_do_not_depend_on_the_chunks(words: list[str], size: int) -> None:
    text = "".join(words)
    raw = text.encode()
    found = list(lines_of([raw[i : i + size] for i in range(0, len(raw), size)], None, "stdin"))
    expected = re.split(r"\r{0,8}\n|\r", text)
    assert found == (expected if expected[-1] else expected[:-1])


def test_lines_are_read_as_a_mark_or_a_name_says() -> None:
    text = "smørbrød\r\nte\n"
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        assert list(lines_of([text.encode(encoding)], None, "stdin")) == ["smørbrød", "te"]
    for encoding in ("latin-1", "utf-16-le", "utf-8"):
        raw = text.encode(encoding)
        assert list(lines_of([raw[:6], raw[6:]], encoding, "stdin")) == ["smørbrød", "te"]
    with pytest.raises(
        DataError, match=r"stdin: found byte 0xf8, .* UTF-8 \(offset 2\).*--encoding"
    ):
        list(lines_of([text.encode("latin-1")], None, "stdin"))


@given(st.lists(st.text("ab\n", min_size=1, max_size=9)))
def test_pieces_of_whole_lines(texts: list[str]) -> None:
    pieces = list(whole_lines(texts, Path("t"), None))
    joined = "".join(texts)
    assert "".join(pieces) == joined + "\n" * (bool(joined) and not joined.endswith("\n"))
    assert all(piece.endswith("\n") for piece in pieces)


def test_a_line_too_long_for_a_document_is_refused() -> None:
    with pytest.raises(DataError, match=r"a line of more than 10 characters.*--kind stream"):
        list(whole_lines(["ab\n", "ab" * 3, "ab" * 3], Path("t"), 10))


@given(st.lists(st.text("a \t\xa0\u3000\x85日"), min_size=1))
def test_blank_lines_are_left_out_and_counted(lines: list[str]) -> None:
    kept, n, blank = without_blank_lines("".join(f"{line}\n" for line in lines))
    expected = [line for line in lines if line.strip()]
    assert kept == "".join(f"{line}\n" for line in expected)
    assert (n, blank) == (len(expected), len(lines) - len(expected))


@given(st.lists(st.text("ab\n", min_size=1, max_size=9)), st.integers(1, 20))
def test_a_beginning_is_of_whole_lines_and_loses_no_piece(texts: list[str], limit: int) -> None:
    left = iter(texts)
    pieces, text = beginning(left, limit)
    assert [*pieces, *left] == texts
    joined = "".join(texts)
    assert joined.startswith(text)
    assert len(text) <= limit
    assert text == joined or text.endswith("\n") or "\n" not in joined[:limit]
    assert beginning(texts, None)[1] == joined


def test_half_of_a_surrogate_pair_is_refused(write: Write) -> None:
    path = write("t.txt", b"ab\\ud83dab\n")
    with pytest.raises(DataError, match=r"U\+D83D as character 2, half of a pair"):
        list(reader(path, encoding="unicode_escape"))


def test_what_is_no_plain_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        file_state(tmp_path / "none.txt")
    with pytest.raises(DataError, match="is a directory"):
        file_state(tmp_path)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(DataError, match="a pipe or a device"):
            file_state(tmp_path / "pipe")


def test_a_changed_file_is_refused(write: Write) -> None:
    path = write("t.txt", "ab")
    before = file_state(path)
    refuse_changed(path, before)
    path.write_text("abc")
    with pytest.raises(DataError, match="has changed while it was read"):
        refuse_changed(path, before)
