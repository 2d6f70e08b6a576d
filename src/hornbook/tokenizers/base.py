"""The contract of a tokenizer."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from hornbook.files import dump, write_json

Ids = NDArray[np.integer[Any]]
Unknown = Literal["error", "skip"]
UNKNOWN: tuple[Unknown, ...] = get_args(Unknown)

END = "<|endoftext|>"
LINE_BREAK = "\n"  # ends each document of a text that has one a line
NULL = "\0"  # ends each document where they may hold line breaks; no text holds it


STAND_INS = range(0xFDD0, 0xFDF0)  # characters that Unicode keeps for programs


class Written(str):
    """Text that a template wrote: `stand_in(i)` in it is the special token `special[i]`. In every other
    text these characters are text."""

    special: tuple[str, ...]

    def __new__(cls, text: str, special: Sequence[str]) -> Written:
        """The text with the special tokens that it may hold."""
        written = super().__new__(cls, text)
        written.special = tuple(special)
        return written

    def __str__(self) -> str:
        return self  # such as for the checks of arguments

    @property
    def shown(self) -> str:
        """The text with special tokens as they are written in tokenizer.json."""
        text = self[:]
        for i, token in enumerate(self.special):
            text = text.replace(stand_in(i), token)
        return text


def stand_in(i: int) -> str:
    """The character that is written for special token i (`Written`)."""
    return chr(STAND_INS[i])


def end_spelling(text: str) -> str:
    """How the end of a document is written for this corpus: something that it does not contain."""
    end, n = END, 1
    while end in text:
        end, n = f"<|endoftext-{n}|>", n + 1
    return end


def as_lines(documents: Sequence[str], end: str = LINE_BREAK) -> str:
    """Documents one after the other, each ended: one a line, unless `end` is another character."""
    return end.join((*documents, ""))


class Tokenizer(ABC):
    """Text <-> ids.

    vocab_size: number of ids, the end of document included.
    end_id: the id that ends and starts a document; None for a stream.
    end: how that id is written in tokenizer.json.
    document_end: the character that ends a document in text, LINE_BREAK or NULL; the corpus decides it
        (`Inspection.document_end`), and it is not saved.
    special: tokens besides the end that no text becomes, such as those of a conversation, as they are
        written in tokenizer.json. Only what a template wrote has them (`Written`).
    """

    kind: str
    vocab_size: int
    end_id: int | None
    end: str
    document_end: str = LINE_BREAK
    special: tuple[str, ...] = ()

    @abstractmethod
    def encode(self, text: str, *, unknown: Unknown = "error") -> Ids:
        """The ids of `text`, (N,) of the smallest dtype that holds them.

        Raises DataError that names the characters it does not know, unless they are to be skipped.
        """

    @abstractmethod
    def decode_bytes(self, ids: Sequence[int] | Ids) -> bytes:
        """The UTF-8 text of `ids`; the end of document is nothing."""

    @abstractmethod
    def encode_lines(self, text: str, *, unknown: Unknown = "error") -> Ids:
        """The ids of documents that each end in `document_end`, mostly a line each. Needs an end id."""

    @abstractmethod
    def decode_lines(self, ids: Ids) -> str:
        """The text of `ids`, each end of a document `document_end`: the inverse of encode_lines.

        Bytes that are no UTF-8, such as half of a character at the end, are left out.
        """

    @abstractmethod
    def symbol(self, token: int) -> str:
        """One token as a table or a figure displays it."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """The tokenizer in the Hugging Face format, as plain data."""

    def begin_with(self, start: bytes) -> list[bool]:
        """Which tokens begin with these bytes, for each id; empty where no token begins another."""
        return []

    @cached_property
    def longest(self) -> int:
        """Bytes of the longest token."""
        return int(self.widths.max())

    def extends(self, start: bytes) -> bool:
        """Whether a token begins with these bytes and is longer."""
        return False

    def cut(self, pieces: Iterable[str]) -> Iterator[str]:
        """A text in pieces -> the same text in pieces that may be encoded one by one."""
        return iter(pieces)

    def encode_documents(self, documents: Sequence[str], *, unknown: Unknown = "error") -> Ids:
        """`end, d1, end, d2, end, ..., end` as one array, (N,). Needs an end id."""
        text = self.document_end + as_lines(documents, self.document_end)
        return self.encode_lines(text, unknown=unknown)

    @cached_property
    def widths(self) -> NDArray[np.uint16]:
        """UTF-8 bytes that each id stands for, (vocab_size,); 1 for the end, a line break, and for a
        special token."""
        widths = np.array([len(self.decode_bytes([i])) for i in range(self.vocab_size)], np.uint16)
        widths[self.special_ids] = 1
        if self.end_id is not None:
            widths[self.end_id] = 1
        return widths

    def count_bytes(self, ids: Ids) -> int:
        """UTF-8 bytes of `ids`, one for each end of a document."""
        if self.widths.max() == 1:
            return len(ids)
        wide = ids
        if ids.dtype == np.uint8:  # most are one byte wide, and taken out quickly
            narrow = np.flatnonzero(self.widths == 1).astype(np.uint8).tobytes()
            wide = np.frombuffer(ids.tobytes().translate(None, narrow), dtype=np.uint8)
        return len(ids) - len(wide) + int(self.widths.take(wide).sum(dtype=np.int64))

    def decode_documents(self, ids: Ids) -> tuple[str, ...]:
        """The documents of `end, d1, end, d2, end, ..., end`: the inverse of encode_documents."""
        return tuple(self.decode_lines(ids).split(self.document_end)[1:-1])

    def decode(self, ids: Sequence[int] | Ids) -> str:
        """The text of `ids`. Bytes that are no UTF-8 become U+FFFD."""
        return self.decode_bytes(ids).decode("utf-8", errors="replace")

    @property
    def special_ids(self) -> list[int]:
        """The ids of `special`."""
        return []

    def decode_written(self, ids: Sequence[int] | Ids) -> str:
        """The text of `ids` as a template wrote it: `encode` returns its special tokens again."""
        return self.decode(ids)

    @property
    def start_id(self) -> int:
        """What generation and scoring start from: the end of a document, else a line break."""
        if self.end_id is not None:
            return self.end_id
        newline = self.encode("\n", unknown="skip")
        return int(newline[0]) if len(newline) else 0

    def _huggingface(
        self, *, pre_tokenizer: dict[str, Any], decoder: dict[str, Any], model: dict[str, Any]
    ) -> dict[str, Any]:
        special = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
        end = {"id": self.end_id, "content": self.end, **special, "special": True}
        others = [
            {"id": model["vocab"][content], "content": content, **special, "special": True}
            for content in self.special
        ]
        return {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": [] if self.end_id is None else [end, *others],
            "normalizer": None,
            "pre_tokenizer": pre_tokenizer,
            "post_processor": None,
            "decoder": decoder,
            "model": model,
        }

    @cached_property
    def fingerprint(self) -> str:
        """Equal for tokenizers that are equal: their kind, and the beginning of a sha256."""
        raw = dump(self.to_json()).encode("utf-8", "surrogatepass")
        return f"{self.kind}:{hashlib.sha256(raw).hexdigest()[:12]}"

    def save(self, path: Path) -> None:
        """Writes `tokenizer.json`."""
        write_json(path, self.to_json())
