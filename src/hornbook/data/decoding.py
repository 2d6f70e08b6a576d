"""Bytes to text, strictly: a byte that the encoding does not allow is an error with its offset."""

from __future__ import annotations

import codecs
import sys
from collections.abc import Iterable, Iterator

from hornbook.errors import ConfigError, DataError

ENCODINGS_TO_TRY = ("utf-8", "utf-16", "cp1252", "latin-1")
MARKS_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
MARKS_UTF32 = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
MARKS = {"utf-16": MARKS_UTF16, "utf-32": MARKS_UTF32}
# encodings whose codec takes a byte order mark for a character
MARKED = ("utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be", "gb18030")


class WrongByte(Exception):  # noqa: N818
    """A byte that is not valid at its offset in the file; null: of a binary file."""

    def __init__(self, offset: int, byte: int, *, null: bool = False) -> None:
        super().__init__(offset, byte)
        self.offset, self.byte, self.null = offset, byte, null


def codec_name(encoding: str) -> str:
    """Python's name of a text encoding. Raises ConfigError for one that it does not know."""
    try:
        codec = codecs.lookup(encoding).name
        "".encode(codec)
    except (LookupError, TypeError, ValueError):
        raise ConfigError(
            f"encoding: found {encoding!r}, expected one that Python knows, such as utf-8, "
            "latin-1, cp1252 or utf-16"
        ) from None
    return codec


def byte_order_mark(codec: str) -> bytes:
    """The bytes of a mark that is no part of the text, though the codec would decode it."""
    return "\ufeff".encode(codec) if codec in MARKED else b""


def decode_chunks(chunks: Iterable[bytes], encoding: str) -> Iterator[str]:
    """The text of a file whose bytes come in chunks, the first of at least 4 bytes if there are as
    many; a byte order mark is left out. Raises WrongByte."""
    codec = codec_name(encoding)
    decoder, offset, binary = codecs.getincrementaldecoder(codec)(), 0, codec == "utf-8"
    for chunk in chunks:
        if offset == 0:
            if (mark := byte_order_mark(codec)) and chunk.startswith(mark):
                offset, chunk = len(mark), chunk.removeprefix(mark)
            binary = binary and not chunk.startswith(MARKS_UTF16)
            if codec in MARKS and not chunk.startswith(MARKS[codec]):  # this machine's order
                order = "le" if sys.byteorder == "little" else "be"
                decoder = codecs.getincrementaldecoder(f"{codec}-{order}")()
        if binary and (null := chunk.find(0)) >= 0:
            raise WrongByte(offset + null, 0, null=True)
        yield _decode(decoder, chunk, offset)
        offset += len(chunk)
    yield _decode(decoder, b"", offset, final=True)


def _decode(
    decoder: codecs.IncrementalDecoder, chunk: bytes, offset: int, *, final: bool = False
) -> str:
    begun = len(decoder.getstate()[0])  # bytes of a character that the last chunk cut
    try:
        return decoder.decode(chunk, final)
    except UnicodeDecodeError as error:
        raise WrongByte(offset - begun + error.start, error.object[error.start]) from None
    except (UnicodeError, LookupError):  # codecs such as punycode do not say where
        raise WrongByte(offset, chunk[0] if chunk else 0) from None


def fits(chunks: Iterable[bytes], encoding: str) -> bool:
    """Whether all bytes are valid in an encoding; UTF-16 has to begin with its mark."""
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        for i, chunk in enumerate(chunks):
            if i == 0 and encoding == "utf-16" and not chunk.startswith(MARKS_UTF16):
                return False
            decoder.decode(chunk)
        decoder.decode(b"", True)
    except (UnicodeError, LookupError):
        return False
    return True


def fits_utf8(chunks: Iterable[bytes]) -> bool:
    """Whether all bytes are text in UTF-8, which no null byte is."""
    found_null = False

    def watched() -> Iterator[bytes]:
        nonlocal found_null
        for chunk in chunks:
            found_null = found_null or 0 in chunk
            yield chunk

    return fits(watched(), "utf-8") and not found_null


def unmarked_utf16(beginning: bytes) -> str | None:
    """utf-16-le or utf-16-be, where a text seems to be one without a mark; else None.

    Most letters of many languages have a null as their higher byte, and no text has one as its lower.

    >>> unmarked_utf16("text".encode("utf-16-le")), unmarked_utf16(bytes(range(256)) * 4)
    ('utf-16-le', None)
    """
    beginning = beginning[: len(beginning) // 2 * 2]
    nulls = {"utf-16-be": beginning[::2].count(0), "utf-16-le": beginning[1::2].count(0)}
    other, codec = sorted(nulls, key=nulls.__getitem__)
    if nulls[other] or 8 * nulls[codec] < len(beginning):
        return None
    text = beginning.decode(codec, "replace").removeprefix("\ufeff").removesuffix("\ufffd")
    return codec if all(c.isprintable() or c.isspace() for c in text) else None


def marked_encoding(beginning: bytes) -> str | None:
    """The encoding that a byte order mark names: utf-8, utf-16 or utf-32; None without one."""
    marks = {"utf-8": (codecs.BOM_UTF8,), "utf-32": MARKS_UTF32, "utf-16": MARKS_UTF16}
    return next((name for name, found in marks.items() if beginning.startswith(found)), None)


def explain(wrong: WrongByte, place: str, encoding: str, valid: list[str]) -> DataError:
    """The error for a wrong byte. valid: the encodings that the file would be valid in."""
    if wrong.null and valid:
        return DataError(
            f"{place}: found a null byte at offset {wrong.offset}, which is not valid {encoding}; it "
            f"reads as {valid[0]} without a byte order mark: --encoding {valid[0]}"
        )
    if wrong.null:
        return DataError(
            f"{place}: found a null byte at offset {wrong.offset}: a binary file, expected text. "
            "If it is text in another encoding, name it (--encoding)"
        )
    return DataError(
        f"{place}: found byte 0x{wrong.byte:02x} at offset {wrong.offset}, which is not valid "
        f"{encoding}. It would be valid in: {', '.join(valid) or 'none of the usual encodings'}. "
        "Name the right one (--encoding)"
    )
