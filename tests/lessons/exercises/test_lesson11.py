"""Lesson 11: the solutions pass, and wrong answers that learners give are told what is wrong."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import pytest

from hornbook.lessons.exercises.lesson11 import (
    EXERCISES,
    count_pairs,
    decode,
    encode_special,
    encode_text,
    learn_merges,
    merge_pair,
)
from tests.lessons.exercises.common import fails, passes

Pair = tuple[int, int]


@pytest.mark.parametrize("number", [exercise.number for exercise in EXERCISES])
def test_the_solution_passes(number: str) -> None:
    passes(number)


def in_place(ids: list[int], pair: Pair, new: int) -> list[int]:
    merged = merge_pair(ids, pair, new)
    ids[:] = merged
    return ids


def keeps_second(ids: Sequence[int], pair: Pair, new: int) -> list[int]:
    return [new if tuple(ids[i : i + 2]) == pair else x for i, x in enumerate(ids)]


def loses_last(ids: Sequence[int], pair: Pair, new: int) -> list[int]:
    merged, i = [], 0
    while i < len(ids) - 1:
        found = (ids[i], ids[i + 1]) == pair
        merged.append(new if found else ids[i])
        i += 2 if found else 1
    return merged


def strict(ids: Sequence[int], merges: Sequence[Pair]) -> str:
    tokens = [bytes([i]) for i in range(256)]
    for left, right in merges:
        tokens.append(tokens[left] + tokens[right])
    return b"".join(tokens[i] for i in ids).decode()


def token_by_token(ids: Sequence[int], merges: Sequence[Pair]) -> str:
    return "".join(decode([i], merges) for i in ids)


def by_frequency(text: str, merges: Sequence[Pair]) -> list[int]:
    ids = list(text.encode())
    while counts := Counter(p for p in pairwise(ids) if p in merges):
        pair = max(counts, key=lambda p: counts[p])
        ids = merge_pair(ids, pair, 256 + list(merges).index(pair))
    return ids


def longest_first(text: str, merges: Sequence[Pair]) -> list[int]:
    tokens = [bytes([i]) for i in range(256)]
    for left, right in merges:
        tokens.append(tokens[left] + tokens[right])
    raw, ids = text.encode(), []
    while raw:
        fits = [i for i, token in enumerate(tokens) if raw.startswith(token)]
        best = max(fits, key=lambda i: len(tokens[i]))
        ids.append(best)
        raw = raw[len(tokens[best]) :]
    return ids


def as_characters(text: str, merges: Sequence[Pair]) -> list[int]:
    return [ord(c) for c in text]


def as_bytes(ids: Sequence[int], merges: Sequence[Pair]) -> bytes:
    tokens = [bytes([i]) for i in range(256)]
    for left, right in merges:
        tokens.append(tokens[left] + tokens[right])
    return b"".join(tokens[i] for i in ids)


def one_walk(text: str, merges: Sequence[Pair]) -> list[int]:
    ids, found, i = list(text.encode()), list[int](), 0
    while i < len(ids):
        pair: Any = tuple(ids[i : i + 2])
        found.append(256 + merges.index(pair) if pair in merges else ids[i])
        i += 2 if pair in merges else 1
    return found


def across_words(words: Sequence[str], n: int) -> list[Pair]:
    return learn_merges(["".join(words)], n)


def not_counted_again(words: Sequence[str], n: int) -> list[Pair]:
    counts = Counter(p for word in words for p in pairwise(word.encode()))
    return [pair for pair, _ in counts.most_common(n)]


def never_stops(words: Sequence[str], n: int) -> list[Pair]:
    merges = learn_merges(words, n)
    return [*merges, *[(99, 100)] * (n - len(merges))]


def lost(text: str, special: Mapping[str, int], encode: Any) -> list[int]:
    pattern = "|".join(map(re.escape, special))
    return [i for piece in re.split(pattern, text) if piece for i in encode(piece)]


def unescaped(text: str, special: Mapping[str, int], encode: Any) -> list[int]:
    found: list[int] = []
    for piece in re.split("(" + "|".join(special) + ")", text):
        found += [special[piece]] if piece in special else encode(piece) if piece else []
    return found


def each_letter(text: str, special: Mapping[str, int], encode: Any) -> list[int]:
    """The pieces are not encoded as wholes."""
    found: list[int] = []
    for i in encode_special(text, special, lambda piece: [ord(c) for c in piece]):
        found += [i] if i >= 1000 else encode(chr(i))
    return found


WRONG: list[tuple[str, Callable[..., Any], str]] = [
    ("11.1", lambda ids: Counter(zip(ids[::2], ids[1::2], strict=False)), "pairs overlap"),
    ("11.1", lambda ids: Counter(ids), "these are single ids"),
    ("11.1", lambda ids: Counter(tuple(sorted(p)) for p in pairwise(ids)), "different pairs"),
    ("11.1", lambda ids: list(count_pairs(ids)), "found"),
    ("11.2", in_place, "make a new one"),
    ("11.2", keeps_second, "second id of the pair is still there"),
    ("11.2", loses_last, "the last id is lost"),
    ("11.3", strict, "errors='replace'"),
    ("11.2", lambda *a: keeps_second(*a)[:-1], "still there, and the last id is lost"),
    ("11.3", token_by_token, "join the bytes first"),
    ("11.3", lambda ids, m: as_bytes(ids, m).decode("latin-1"), "taken for a character"),
    ("11.3", lambda ids, m: decode(ids, m).replace("\ufffd", ""), "are gone"),
    ("11.4", by_frequency, "most frequent in this text"),
    ("11.4", longest_first, "from the left"),
    ("11.4", lambda text, merges: list(text.encode()), "nothing is merged"),
    ("11.4", as_characters, "found"),
    (
        "11.4",
        lambda text, m: encode_text(text, m) if text.isascii() else [ord(c) for c in text],
        "begin with text.encode()",
    ),
    ("11.4", one_walk, "a single walk"),
    ("11.5", across_words, "across the border"),
    ("11.5", not_counted_again, "count again after each merge"),
    ("11.5", never_stops, "no other pair occurs twice"),
    ("11.5", lambda words, n: learn_merges(words, n)[:2], "expected 8"),
    ("11.6", lambda text, special, encode: encode(text), "as ordinary text"),
    ("11.6", lost, "are lost"),
    ("11.6", unescaped, "re.escape"),
    ("11.5", lambda words, n: learn_merges(list(set(words)), n), "counts as often as it is"),
    ("11.5", lambda words, n: [("a", "b")] * n, "a word is word.encode()"),
    ("11.6", each_letter, "letter by letter"),
]


@pytest.mark.parametrize(
    ("number", "answer", "said"), WRONG, ids=[f"{n} {said}" for n, _, said in WRONG]
)
def test_a_wrong_answer_is_told_why(number: str, answer: Callable[..., Any], said: str) -> None:
    fails(number, answer, said)
