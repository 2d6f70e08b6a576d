"""One id a byte of the UTF-8 text: knows every text there is, and costs no table."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from hornbook.errors import DataError
from hornbook.tokenizers.base import END, LINE_BREAK, Ids, Tokenizer, Unknown


class ByteTokenizer(Tokenizer):
    """Bytes <-> ids 0..255; the end of a document, where there is one, is 256."""

    kind = "byte"

    def __init__(self, *, documents: bool, end: str = END, document_end: str = LINE_BREAK) -> None:
        self.end, self.document_end = end, document_end
        self.end_id = 256 if documents else None
        self.vocab_size = 257 if documents else 256

    def encode(self, text: str, *, unknown: Unknown = "error") -> Ids:
        """The bytes of `text`, (N,) uint8 (uint16 with an end id). Nothing is unknown."""
        raw = np.frombuffer(text.encode("utf-8", "surrogatepass"), dtype=np.uint8)
        return raw if self.end_id is None else raw.astype(np.uint16)

    def encode_lines(self, text: str, *, unknown: Unknown = "error") -> Ids:
        """The bytes of `text`, each `document_end` an end of document, (N,) uint16."""
        if self.end_id is None:
            raise DataError("this tokenizer is of a stream: it has no end-of-document id")
        ids = self.encode(text)
        ids[ids == ord(self.document_end)] = self.end_id
        return ids

    def decode_bytes(self, ids: Sequence[int] | Ids) -> bytes:
        """The bytes themselves."""
        array = np.asarray(ids, dtype=np.int64)
        return array[array < 256].astype(np.uint8).tobytes()

    def decode_lines(self, ids: Ids) -> str:
        """The UTF-8 text of the bytes, each end of a document `document_end`."""
        raw = ids.astype(np.uint8)
        if self.end_id is not None:
            raw[ids == self.end_id] = ord(self.document_end)
        return raw.tobytes().decode("utf-8", "ignore")

    def symbol(self, token: int) -> str:
        """The ASCII character, else `<hex>`; `.` would be taken, so the end is `<end>`."""
        if token == self.end_id:
            return "<end>"
        return chr(token) if 32 <= token < 127 else f"<{token:02x}>"

    def to_json(self) -> dict[str, Any]:
        """A byte-level BPE without merges (GPT-2's table of printable bytes)."""
        vocab = {letter: byte for byte, letter in enumerate(printable_bytes())}
        if self.end_id is not None:
            vocab[self.end] = self.end_id
        byte_level = {
            "type": "ByteLevel",
            "add_prefix_space": False,
            "trim_offsets": False,
            "use_regex": False,
        }
        model: dict[str, Any] = {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "vocab": vocab,
            "merges": [],
        }
        return self._huggingface(pre_tokenizer=byte_level, decoder=byte_level, model=model)


def printable_bytes() -> list[str]:
    """The character that stands for each byte in byte-level BPE (Radford et al. 2019)."""
    own = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in own]
    letters = {b: chr(b) for b in own} | {b: chr(256 + i) for i, b in enumerate(others)}
    return [letters[b] for b in range(256)]


def characters_with(lacking: Iterable[int]) -> Iterator[str]:
    """The characters whose UTF-8 has one of these bytes, as ranges of an expression's class.

    Raises ValueError for a byte that continues characters, which most scripts need.
    """
    for byte in lacking:
        if byte < 0x80:
            yield re.escape(chr(byte))
        elif byte < 0xC0:
            raise ValueError(f"no id for the byte {byte:02x}, which continues characters")
        else:  # leads a character of 2, 3 or 4 bytes; some lead none
            size = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            bits = 6 * (size - 1)
            first = max((byte & (0x7F >> size)) << bits, (0x80, 0x800, 0x10000)[size - 2])
            last = min(((byte & (0x7F >> size)) << bits) + (1 << bits) - 1, 0x10FFFF)
            if first <= last and byte < 0xF8:
                yield f"{chr(first)}-{chr(last)}"
