"""Bytes to text, strictly, however the bytes come in chunks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hornbook.data.decoding import WrongByte, codec_name, decode_chunks, explain, fits
from hornbook.errors import ConfigError


def chunks(raw: bytes, size: int) -> list[bytes]:
    return [raw[i : i + size] for i in range(0, len(raw), size)]


@given(
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"]),
    st.integers(4, 9),
)
def test_text_does_not_depend_on_the_chunks(text: str, encoding: str, size: int) -> None:
    raw = text.encode(encoding)
    named = "utf-8" if encoding == "utf-8-sig" else encoding
    expected = raw.decode(encoding if raw[:3] == b"\xef\xbb\xbf" else named)
    assert "".join(decode_chunks(chunks(raw, size), named)) == expected


@given(st.binary(max_size=30), st.integers(4, 9))
def test_a_wrong_byte_is_found_where_python_finds_it(raw: bytes, size: int) -> None:
    raw = raw.replace(b"\0", b"").removeprefix(b"\xef\xbb\xbf")
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return
    found: str | tuple[int, int]
    expected: str | tuple[int, int]
    try:
        expected = raw.decode()
    except UnicodeDecodeError as error:
        expected = error.start, raw[error.start]
    try:
        found = "".join(decode_chunks(chunks(raw, size), "utf-8"))
    except WrongByte as wrong:
        found = wrong.offset, wrong.byte
    assert found == expected


def test_a_null_byte_is_that_of_a_binary_file() -> None:
    with pytest.raises(WrongByte) as caught:
        list(decode_chunks([b"\x7fELF", b"\0\1\2"], "utf-8"))
    message = str(explain(caught.value, "a.txt", "utf-8", []))
    assert "a.txt: found a null byte at offset 4: a binary file" in message


def test_an_unknown_encoding_is_refused() -> None:
    assert codec_name("UTF8") == "utf-8"
    for name in ("latin-17", "rot13", "hex", ""):
        with pytest.raises(ConfigError, match="expected one that Python knows"):
            codec_name(name)


def test_encodings_that_fit() -> None:
    raw = "æble".encode("latin-1")
    assert not fits([raw], "utf-8")
    assert fits([raw], "latin-1")
    assert not fits([raw], "utf-16")  # without its mark
    assert fits(chunks("æble".encode("utf-16"), 3), "utf-16")
