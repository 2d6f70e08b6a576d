"""Text to ids and back: one id a character, a byte, or a frequent sequence of bytes.

A tokenizer of documents has one real end-of-document id, which also starts each of them (the notes'
`.`); a tokenizer of a stream has none. Both are saved in the format of the Hugging Face
`tokenizers` library, which encodes and decodes the same.
"""

from __future__ import annotations

from hornbook.tokenizers.base import END, Tokenizer
from hornbook.tokenizers.bpe import BPETokenizer
from hornbook.tokenizers.byte import ByteTokenizer
from hornbook.tokenizers.char import CharTokenizer
from hornbook.tokenizers.registry import build_tokenizer, load_tokenizer

__all__ = [
    "END",
    "BPETokenizer",
    "ByteTokenizer",
    "CharTokenizer",
    "Tokenizer",
    "build_tokenizer",
    "load_tokenizer",
]
