"""A tokenizer as GGUF files have it: any Unicode, tokenized by llama.cpp as here.

llama.cpp's byte-level BPE ("gpt2") is the one of its tokenizers that neither fails nor loops on some
texts. A token is the bytes of its text, each as the letter of GPT-2's table. A character of several
bytes is put together by merges, from left to right:

    é = C3 A9       merge  Ã ©              (the letters of C3 and A9)
    東 = E6 9D B1   merges æ ĝ, æĝ ±

No merge crosses two characters, so each is one token whatever stands beside it, and of what a tokenizer
does not know nothing is left. The texts are divided first as Qwen2 does it ("qwen2"), which changes
nothing here; those of subwords (bpe) as their tokenizer does it. By GPT-2's own rule llama.cpp would
remove spaces from what it generates.
"""

from __future__ import annotations

from dataclasses import dataclass

from hornbook.tokenizers import BPETokenizer, Tokenizer
from hornbook.tokenizers.byte import printable_bytes
from hornbook.tokenizers.words import OWN

NORMAL, CONTROL = 1, 3  # llama.cpp's types of tokens
NEVER = 0xFF  # a byte that no UTF-8 has


@dataclass(frozen=True)
class Vocabulary:
    """tokens, types: by id. merges: "left right", the first ones first. words: how llama.cpp calls the
    way in which texts are cut before. end_id: begins and ends a
    document, or, of a stream, stands for the end that llama.cpp wants and that is never generated."""

    tokens: list[str]
    types: list[int]
    merges: list[str]
    end_id: int
    documents: bool
    words: str = OWN.name

    @property
    def added(self) -> int:
        """How many ids the model does not have."""
        return 0 if self.documents else 1


def vocabulary(tokenizer: Tokenizer) -> Vocabulary:
    """The vocabulary of a tokenizer. Its tokens are those of tokenizer.json, by id."""
    model, letters = tokenizer.to_json()["model"], printable_bytes()
    by_id = sorted(model["vocab"], key=model["vocab"].get)
    tokens, merges = (
        by_id,
        [m if isinstance(m, str) else " ".join(m) for m in model.get("merges", ())],
    )
    if model["type"] == "WordLevel":
        tokens = []
        chains: dict[str, None] = {}  # each merge once, in the order of their first places
        for i, text in enumerate(by_id):
            letters_of = [letters[b] for b in text.encode("utf-8", "surrogatepass")]
            tokens.append(text if i == tokenizer.end_id else "".join(letters_of))
            if i != tokenizer.end_id:
                for n in range(1, len(letters_of)):
                    chains["".join(letters_of[:n]) + " " + letters_of[n]] = None
        merges = list(chains)
    special = set(tokenizer.special)
    types = [
        CONTROL if i == tokenizer.end_id or t in special else NORMAL for i, t in enumerate(by_id)
    ]
    documents = tokenizer.end_id is not None
    if not documents:
        tokens, types = [*tokens, tokenizer.end], [*types, CONTROL]
    end_id = len(tokens) - 1 if tokenizer.end_id is None else tokenizer.end_id
    merges = merges or [letters[NEVER] + " " + letters[NEVER]]  # llama.cpp refuses a file without
    words = tokenizer.words.name if isinstance(tokenizer, BPETokenizer) else OWN.name
    return Vocabulary(tokens, types, merges, end_id, documents, words)
