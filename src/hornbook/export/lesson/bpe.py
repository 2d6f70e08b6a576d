"""Byte-level BPE: ids for frequent sequences of bytes (Sennrich et al. 2016; Radford et al. 2019).

A text is cut into words, and in each word the pairs of neighbors that were learned first are merged
first. The expressions for words are over Unicode classes, which Python's `re` does not have: each
character is replaced by one of its class before.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import Any

from hornbook.export.lesson.text import TOKENIZERS, Tokenizer

SPACE = {*range(9, 14), 32, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F,
         0x3000}  # fmt: skip
GPT2 = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LONG_S = "\u017f"  # an s for an expression that ignores case


@lru_cache(1 << 16)
def kind_of(character: str) -> str:
    """The character itself if it is ASCII, else one of its class: letter, number, space, other."""
    if character.isascii() and character not in "\x1c\x1d\x1e\x1f":
        return character
    kind = unicodedata.category(character)[0]
    if character == LONG_S:
        return "S"
    if ord(character) in SPACE:
        return "\t"
    return {"L": "a", "N": "0"}.get(kind, "!")


def expression(pattern: str) -> re.Pattern[str]:
    """An expression of tokenizer.json, over what `kind_of` returns."""
    pattern = pattern.replace(r"\p{L}", "a-zA-Z").replace(r"\p{N}", "0-9")
    pieces = re.split(r"(\[[^]]*\])", pattern)  # classes have brackets of their own already
    outside = [re.sub(r"(a-zA-Z|0-9)", r"[\1]", piece) for piece in pieces[::2]]
    pieces[::2] = outside
    return re.compile("".join(pieces).replace(r"[\r\n]", "[\r\n]"))


class BPETokenizer(Tokenizer):
    """Sequences of bytes <-> ids."""

    def __init__(self, data: dict[str, Any]) -> None:
        super().__init__(data)
        own = [*range(33, 127), *range(161, 173), *range(174, 256)]
        others = [byte for byte in range(256) if byte not in own]
        letters = {byte: chr(byte) for byte in own}
        self.letters = letters | {byte: chr(256 + i) for i, byte in enumerate(others)}
        byte_of = {letter: byte for byte, letter in self.letters.items()}
        self.id_of = {t: i for t, i in data["model"]["vocab"].items() if i != self.end_id}
        self.bytes_of |= {i: bytes(byte_of[letter] for letter in t) for t, i in self.id_of.items()}
        special = {each["id"] for each in data["added_tokens"]}  # no text becomes one
        self.ordinary = sorted((i, raw) for i, raw in self.bytes_of.items() if i not in special)
        self.ranks = {tuple(pair): rank for rank, pair in enumerate(data["model"]["merges"])}
        self.composed = (data.get("normalizer") or {}).get("type") == "NFC"
        self.whole_words = data["model"].get("ignore_merges", False)
        step = data["pre_tokenizer"]
        self.steps = [self.cutter(each) for each in step.get("pretokenizers", [step])]
        self.line_break = self.encode("\n")[0]

    @staticmethod
    def cutter(step: dict[str, Any]) -> re.Pattern[str]:
        """What one step of the cutting into words looks for."""
        if step["type"] == "Digits":
            return expression(r"\p{N}|[^\p{N}]+")
        if step["type"] == "Split":
            return expression(step["pattern"]["Regex"])
        return expression(GPT2) if step["use_regex"] else re.compile(".+", re.DOTALL)

    def words(self, text: str) -> list[str]:
        """The words of a text, which together are the text."""
        words = [text]
        for step in self.steps:
            cut = []
            for word in words:
                found = step.findall("".join(map(kind_of, word)))
                ends = accumulate(map(len, found), initial=0)
                cut += [word[a:b] for a, b in pairwise(ends)]
            words = cut
        return words

    def encode(self, text: str) -> list[int]:
        """The ids of a text. Ends the program where it has a byte without an id."""
        text = unicodedata.normalize("NFC", text) if self.composed else text
        tokens = [token for word in self.words(text) for token in self.merge(word)]
        if unknown := sorted(set(tokens) - self.id_of.keys()):
            raise SystemExit(f"unknown bytes (as letters): {unknown}; expected text without them")
        return [self.id_of[token] for token in tokens]

    def merge(self, word: str) -> list[str]:
        """The tokens of a word, in letters for bytes."""
        tokens = [self.letters[byte] for byte in word.encode("utf-8", "surrogatepass")]
        if self.whole_words and "".join(tokens) in self.id_of:
            return ["".join(tokens)]
        while len(tokens) > 1:
            pairs = list(pairwise(tokens))
            best = min(pairs, key=lambda pair: self.ranks.get(pair, len(self.ranks)))
            if best not in self.ranks:
                break
            at = pairs.index(best)
            tokens[at : at + 2] = [best[0] + best[1]]
        return tokens

    def split(self, prompt: str) -> tuple[list[int], list[int], int]:
        """A longer token may take the place of the last ones, if it begins with their bytes."""
        ids = self.start(prompt)
        split: tuple[list[int], list[int], int] = ids, [], 0
        held = b""
        for last in range(len(ids) - 1, 0, -1):
            held = self.bytes_of[ids[last]] + held
            if self.whole_prompt or not self.bytes_of[ids[last]]:
                break
            found = [i for i, raw in self.ordinary if raw.startswith(held)]
            if any(len(self.bytes_of[i]) > len(held) for i in found):
                split = ids[:last], found, len(held)
        return split


TOKENIZERS["subwords"] = BPETokenizer
