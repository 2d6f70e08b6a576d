"""Texts cut into the words that byte-level BPE merges within.

The tokenizers of GPT-2 and its successors cut a text by a regular expression over Unicode classes, and
merge bytes inside of the pieces alone. Here each expression has a twin for Python's `re`, over ASCII:
before it is applied, each other character is replaced by one of its class. That is as exact as the
library's own and ten times as fast.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from hornbook.tokenizers.base import Ids
from hornbook.tokenizers.char import code_points

# what stands for the characters of a class that are not ASCII
LETTER, NUMBER, SPACE, OTHER, LONG_S = b"a0\t!S"
LETTERS, NUMBERS, SPACES = "A-Za-z", "0-9", r"\t-\r "
SUFFIXES = "'(?:[stmd]|re|ve|ll)"
ANY_CASE = "'(?:[sStTmMdD]|[rR][eE]|[vV][eE]|[lL][lL])"
CHARACTERS = 0x110000
PLACE = re.compile(r"(?<=\S) |(?<=\S\n)(?=[^\W_])")  # where a text may be cut


@dataclass(frozen=True)
class Words:
    """A way to cut texts.

    name: as llama.cpp calls it. pattern: of the Hugging Face format; "" for GPT-2's, which is built in.
    digits: whether digits are cut apart before. twin: the same over ASCII.
    """

    name: str
    pattern: str
    twin: str
    digits: bool = False

    def cut(self, text: str) -> list[str]:
        """The words of a text, which together are the text."""
        compiled = re.compile(self.twin)  # kept by `re`
        if text.isascii():
            return compiled.findall(text)
        words = compiled.findall(ascii_twin(text))
        return [text[a:b] for a, b in pairwise(accumulate(map(len, words), initial=0))]

    def pre_tokenizer(self) -> dict[str, Any]:
        """The step of the Hugging Face format that does the same."""
        level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False}
        if not self.pattern:
            steps = [{**level, "use_regex": True}]
            if self.digits:
                steps.insert(0, {"type": "Digits", "individual_digits": True})
            return steps[0] if len(steps) == 1 else {"type": "Sequence", "pretokenizers": steps}
        split = {
            "type": "Split",
            "pattern": {"Regex": self.pattern},
            "behavior": "Isolated",
            "invert": False,
        }
        steps = [split, {**level, "use_regex": False}]
        return {"type": "Sequence", "pretokenizers": steps}


def _modern(name: str, digits: int) -> Words:
    """The expression of Llama 3, and with single digits of Qwen."""
    times = "" if digits == 1 else f"{{1,{digits}}}"
    end = r"\s*[\r\n]+|\s+(?!\S)|\s+"
    return Words(
        name,
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
        rf"{times}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|{end}",
        rf"{ANY_CASE}|[^\r\n{LETTERS}{NUMBERS}]?[{LETTERS}]+|[{NUMBERS}]{times}"
        rf"| ?[^{SPACES}{LETTERS}{NUMBERS}]+[\r\n]*"
        rf"|[{SPACES}]*[\r\n]+|[{SPACES}]+(?![^{SPACES}])|[{SPACES}]+",
    )


def _gpt2(name: str, *, digits: bool) -> Words:
    """GPT-2's expression; with digits cut apart, that of SmolLM."""
    number, follows = (f"[{NUMBERS}]", NUMBERS) if digits else (f" ?[{NUMBERS}]+", "")
    return Words(
        name,
        "",
        rf"{SUFFIXES}| ?[{LETTERS}]+|{number}| ?[^{SPACES}{LETTERS}{NUMBERS}]+"
        rf"|[{SPACES}]+(?![^{SPACES}{follows}])|[{SPACES}]+",
        digits,
    )


OWN = _modern("qwen2", 1)
WORDS = (OWN, _modern("llama-bpe", 3), _gpt2("gpt-2", digits=False), _gpt2("smollm", digits=True))


class _Classes:
    """The class of each code point, as the library knows it; those that were asked for so far."""

    def __init__(self) -> None:
        self.table = np.zeros(CHARACTERS, np.uint8)
        self.table[:128] = np.arange(128)
        self.table[0] = OTHER  # 0 means unknown
        self.table[0xD800:0xE000] = OTHER  # half of a pair
        self.table[0x17F] = LONG_S  # what is alike but for case

    def of(self, points: Ids) -> Ids:
        """A byte for each code point, (N,) -> (N,)."""
        found: Ids = self.table[points]
        if not found.all():
            self._learn(np.unique(points[found == 0]))
            found = self.table[points]
        return found

    def _learn(self, points: Ids) -> None:
        library: Any = importlib.import_module("tokenizers")
        text = "".join(map(chr, points.tolist()))
        self.table[points] = OTHER
        for pattern, stands_for in ((r"\p{L}", LETTER), (r"\p{N}", NUMBER), (r"\s", SPACE)):
            split = library.pre_tokenizers.Split(library.Regex(f"[^{pattern}]"), "removed")
            for piece, _ in split.pre_tokenize_str(text):
                self.table[code_points(piece)] = stands_for


_classes = _Classes()


def ascii_twin(text: str) -> str:
    """The text with each character that is not ASCII replaced by one of its class."""
    return str(_classes.of(code_points(text)).tobytes(), "ascii")


def safe_cuts(pieces: Iterable[str], least: int) -> Iterator[str]:
    """The same text in other pieces, whose words together are the words of the whole text.

    A piece ends before a space that follows no white space, or after a single line break before a
    letter or a digit: no expression above has a word across either. least: characters of a piece, but
    for the last. Of a text without such places a piece is 16 times as long, and ends anywhere.
    """
    rest = ""
    for piece in pieces:
        rest += piece
        while len(rest) > least:
            at = _last_cut(rest) or (len(rest) if len(rest) > 16 * least else 0)
            if not at:
                break
            yield rest[:at]
            rest = rest[at:]
    if rest:
        yield rest


def _last_cut(text: str) -> int:
    """The last place where a text may be cut; 0 where there is none."""
    for window in (1 << 8, 1 << 14, len(text)):  # most often it is near the end
        places = [m.start() for m in PLACE.finditer(text, max(1, len(text) - window))]
        if places:
            return places[-1]
    return 0
