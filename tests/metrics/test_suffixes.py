"""Suffix arrays against a plain search."""

from __future__ import annotations

import random

import pytest

from hornbook.metrics.suffixes import SuffixArray, suffix_order


def texts(alphabet: str, n: int, length: int, seed: int) -> list[str]:
    draw = random.Random(seed)
    return ["".join(draw.choices(alphabet, k=draw.randint(1, length))) for _ in range(n)]


@pytest.mark.parametrize("alphabet", ["a", "ab", "abcdefgh", "aé漢😀"])
def test_suffixes_stand_in_order(alphabet: str) -> None:
    for text in texts(alphabet, 30, 40, 1):
        assert suffix_order(text).tolist() == sorted(range(len(text)), key=lambda i: text[i:])


def test_the_longest_span_is_that_of_a_plain_search() -> None:
    text = "".join(texts("abc", 1, 300, 2))
    array = SuffixArray(text)
    for query in texts("abc", 40, 30, 3):
        spans = [
            (i, j) for i in range(len(query)) for j in range(i + 1, len(query) + 1)
            if query[i:j] in text
        ]  # fmt: skip
        longest = max((j - i for i, j in spans), default=0)
        start, length = array.longest_span(query)
        assert length == longest
        assert query[start : start + length] in text
