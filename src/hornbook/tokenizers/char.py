"""One id a character (a Unicode code point), sorted, after the end of document where there is one.

Encoding is one table lookup over the code points of the text (up to U+00FF: over bytes), no Python
a character.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn, Self

import numpy as np

from hornbook.errors import DataError
from hornbook.tokenizers.base import (
    END,
    LINE_BREAK,
    Ids,
    Tokenizer,
    Unknown,
    end_spelling,
)
from hornbook.tokenizers.tuning import CHUNK

LONGEST_EXAMPLE = 40  # characters of a text that a message writes in another case


class CharTokenizer(Tokenizer):
    """Characters <-> ids. For documents id 0 is the end, as in the notes."""

    kind = "char"

    def __init__(
        self,
        characters: Sequence[str],
        *,
        documents: bool,
        end: str = END,
        document_end: str = LINE_BREAK,
    ) -> None:
        different = len(set(characters)) == len(characters)
        if not characters or not different or any(len(c) != 1 for c in characters):
            raise ValueError(f"characters: found {characters!r}, expected different single ones")
        self.end, self.document_end = end, document_end
        first = 1 if documents else 0
        self.characters = tuple(characters)
        self.vocab_size = len(characters) + first
        self.end_id = 0 if documents else None
        self._first = first
        points = np.array([ord(c) for c in characters])
        self._points = np.concatenate([[ord(document_end)] * first, points]).astype("<u4")  # by id
        # by code point up to the largest known, and one entry for all beyond
        self._unknown = self.vocab_size
        size = max(int(points.max()) + 2, 256)
        self._table = np.full(size, self._unknown, dtype=np.min_scalar_type(self._unknown))
        self._table[points] = np.arange(first, self.vocab_size)

    @classmethod
    def from_text(cls, text: str, *, documents: bool, document_end: str = LINE_BREAK) -> Self:
        """The sorted characters of `text`; for documents without the one that ends each."""
        points = np.unique(code_points(text))
        return cls(
            [chr(p) for p in points.tolist() if not (documents and chr(p) == document_end)],
            documents=documents,
            end=end_spelling(text),
            document_end=document_end,
        )

    def encode(self, text: str, *, unknown: Unknown = "error") -> Ids:
        """The ids of `text`, (N,)."""
        return self._lookup(text, self._table, unknown)

    def encode_lines(self, text: str, *, unknown: Unknown = "error") -> Ids:
        """The ids of `text`, each `document_end` an end of document, (N,)."""
        if self.end_id is None:
            raise DataError("this tokenizer is of a stream: it has no end-of-document id")
        table = self._table.copy()
        table[ord(self.document_end)] = self.end_id
        return self._lookup(text, table, unknown)

    def _lookup(self, text: str, table: Ids, unknown: Unknown) -> Ids:
        latin = latin_1(text) if table.dtype == np.uint8 else None
        if latin is not None:
            ids: Ids = np.frombuffer(latin.translate(table[:256].tobytes()), dtype=np.uint8)
        else:
            points = code_points(text)
            ids = np.empty(len(points), dtype=table.dtype)
            for i in range(0, len(points), CHUNK):
                table.take(points[i : i + CHUNK], out=ids[i : i + CHUNK], mode="clip")
        strange = ids == self._unknown
        if strange.any():
            if unknown == "error":
                self._refuse(text, code_points(text)[strange])
            ids = ids[~strange]
        return ids

    def _refuse(self, text: str, strange: Ids) -> NoReturn:
        known, points = "".join(self.characters[:80]), np.unique(strange).tolist()
        first = ", ".join(f"{chr(p)!r} (U+{p:04X})" for p in points[:5])
        more = f" and {len(points) - 5} more" if len(points) > 5 else ""
        raise DataError(
            f"unknown characters: {first}{more}; the model knows {len(self.characters)} characters: "
            f"{known!r}{'...' if len(self.characters) > 80 else ''}. "
            f"{self._remedy(text, points)}, or skip them (--unknown skip)"
        )

    def _remedy(self, text: str, unknown: Sequence[int]) -> str:
        """What to do about unknown characters: another case, where the model knows them in that."""
        meant = text.strip("\n").replace("\\t", "\t").replace("\\n", "\n")
        if meant != text.strip("\n") and set(meant) <= set(self.characters):
            return r"Write tabs and line ends as such, not as '\t' and '\n' (in bash: $'a\tb')"
        changes: dict[str, Callable[[str], str]] = {"lower": str.lower, "upper": str.upper}
        for case, change in changes.items():
            if all(set(change(chr(p))) <= set(self.characters) for p in unknown):
                text = "".join(change(c) if ord(c) in unknown else c for c in text[:80].strip("\n"))
                short = len(text) <= LONGEST_EXAMPLE and "\n" not in text
                return f"Write them in {case} case" + (f" ({text!r})" if short else "")
        return "Take them out"

    def decode_bytes(self, ids: Sequence[int] | Ids) -> bytes:
        """The UTF-8 text of `ids`."""
        array = np.asarray(ids, dtype=np.int64)
        return self.decode_lines(array[array >= self._first]).encode("utf-8", "surrogatepass")

    def decode_lines(self, ids: Ids) -> str:
        """The characters of `ids`, each end of a document `document_end`."""
        pieces = (self._points[ids[i : i + CHUNK]] for i in range(0, len(ids), CHUNK))
        return "".join(str(points.data, "utf-32-le", "surrogatepass") for points in pieces)

    def symbol(self, token: int) -> str:
        """The character; `.` for the end of a document, as the notes write it, unless the text has
        that character."""
        if token == self.end_id:
            return "<end>" if "." in self.characters else "."
        return self.characters[token - self._first]

    def to_json(self) -> dict[str, Any]:
        """A WordLevel model over single characters."""
        vocab = {c: i for i, c in enumerate(self.characters, self._first)}
        if self.end_id is not None:
            vocab = {self.end: self.end_id, **vocab}
        return self._huggingface(
            pre_tokenizer={
                "type": "Split",
                "pattern": {"Regex": r"[\s\S]"},
                "behavior": "Isolated",
                "invert": False,
            },
            decoder={"type": "Fuse"},
            model={"type": "WordLevel", "vocab": vocab, "unk_token": "<unk>"},
        )


def latin_1(text: str) -> bytes | None:
    """A byte for each character, where none lies beyond U+00FF."""
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return None


def code_points(text: str) -> Ids:
    """The Unicode code points of a text, (N,) of the smallest unsigned dtype that its kind allows."""
    latin = latin_1(text)
    if latin is not None:
        return np.frombuffer(latin, dtype=np.uint8)
    pairs = text.encode("utf-16-le", "surrogatepass")
    if len(pairs) == 2 * len(text):
        return np.frombuffer(pairs, dtype="<u2")
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
