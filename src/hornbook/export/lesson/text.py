"""The tokenizer: text to token ids and back, from a tokenizer.json."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any


class Tokenizer:
    """One id for each character, or for each byte of the UTF-8 text.

    end_id: the id that ends a document and starts the next; None for a stream. whole_prompt: a prompt
    ends where a token does.
    """

    whole_prompt = False

    def __init__(self, data: dict[str, Any]) -> None:
        vocab, added = data["model"]["vocab"], data["added_tokens"]
        self.vocab_size = len(vocab)
        self.end_id = added[0]["id"] if added else None
        if data["model"]["type"] == "WordLevel":
            self.bytes_of = {i: c.encode("utf-8", "surrogatepass") for c, i in vocab.items()}
            self.id_of = {c: i for c, i in vocab.items() if i != self.end_id}
        else:  # the letters of its vocabulary stand for bytes; the ids are the bytes themselves
            self.bytes_of = {i: bytes([i]) for i in range(256)}
            self.id_of = {}
        self.line_break = self.id_of.get("\n", 0) if self.id_of else ord("\n")
        if self.end_id is not None:
            self.bytes_of[self.end_id] = b""

    def encode(self, text: str) -> list[int]:
        """The ids of a text. Ends the program where it has an unknown character."""
        if not self.id_of:
            return list(text.encode("utf-8", "surrogatepass"))
        if unknown := sorted(set(text) - self.id_of.keys()):
            raise SystemExit(f"unknown characters: {unknown}; expected some of {list(self.id_of)}")
        return [self.id_of[character] for character in text]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids."""
        return b"".join(self.bytes_of[i] for i in ids).decode("utf-8", "replace")

    def start(self, prompt: str) -> list[int]:
        """The ids that a model reads first: a document starts with the end of the one before it, a
        stream without a prompt with a line break."""
        ids = self.encode(prompt)
        if self.end_id is not None:
            return [self.end_id, *ids]
        return ids or [self.line_break]

    def split(self, prompt: str) -> tuple[list[int], list[int], int]:
        """The ids that a model reads before the first one is drawn; which that may be, none where it
        may be any; and how many of its bytes are the end of the prompt."""
        return self.start(prompt), [], 0


TOKENIZERS = {
    "WordLevel": Tokenizer,
    "BPE": Tokenizer,
}  # by type; "subwords" where there are merges


def read_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer of a tokenizer.json."""
    data = json.loads(path.read_bytes().decode("utf-8", "surrogatepass"))
    return TOKENIZERS["subwords" if data["model"].get("merges") else data["model"]["type"]](data)
