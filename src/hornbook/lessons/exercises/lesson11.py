"""The exercises of lesson 11: byte pair encoding. Ids are lists of int; merges are pairs of ids."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch

from hornbook.lessons.comparison import Comparison, compare, holds
from hornbook.lessons.exercise import Exercise

Pair = tuple[int, int]


def count_pairs(ids: Sequence[int]) -> dict[Pair, int]:
    """How often each pair of neighbors occurs."""
    return Counter(pairwise(ids))


def merge_pair(ids: Sequence[int], pair: Pair, new: int) -> list[int]:
    """Each occurrence of the pair replaced by `new`, from left to right."""
    merged: list[int] = []
    i = 0
    while i < len(ids):
        if tuple(ids[i : i + 2]) == pair:
            merged.append(new)
            i += 2
        else:
            merged.append(ids[i])
            i += 1
    return merged


def decode(ids: Sequence[int], merges: Sequence[Pair]) -> str:
    """The text of ids."""
    tokens = [bytes([i]) for i in range(256)]
    for left, right in merges:
        tokens.append(tokens[left] + tokens[right])
    return b"".join(tokens[i] for i in ids).decode("utf-8", errors="replace")


def encode_text(text: str, merges: Sequence[Pair]) -> list[int]:
    """The ids of a text: the earliest merge first, until none applies."""
    rank = {pair: i for i, pair in enumerate(merges)}
    ids = list(text.encode("utf-8"))
    while len(ids) > 1:
        pair = min(pairwise(ids), key=lambda p: rank.get(p, len(rank)))
        if pair not in rank:
            break
        ids = merge_pair(ids, pair, 256 + rank[pair])
    return ids


def learn_merges(words: Sequence[str], n: int) -> list[Pair]:
    """The n most frequent pairs, one after the other, counted within words."""
    spelled = [list(word.encode("utf-8")) for word in words]
    merges: list[Pair] = []
    while len(merges) < n:
        counts = Counter(pair for ids in spelled for pair in pairwise(ids))
        if not counts or max(counts.values()) < 2:
            break
        pair = max(counts, key=lambda pair: counts[pair])
        spelled = [merge_pair(ids, pair, 256 + len(merges)) for ids in spelled]
        merges.append(pair)
    return merges


def encode_special(
    text: str, special: Mapping[str, int], encode: Callable[[str], list[int]]
) -> list[int]:
    """The ids of a text in which some spellings have ids of their own."""
    pattern = "(" + "|".join(map(re.escape, special)) + ")"
    ids: list[int] = []
    for piece in re.split(pattern, text):  # the brackets keep what is split at
        if piece in special:
            ids.append(special[piece])
        elif piece:
            ids += encode(piece)
    return ids


def _whole(generator: torch.Generator, low: int, high: int) -> int:
    return int(torch.randint(low, high, (1,), generator=generator))


def _text(generator: torch.Generator, n: int, letters: str) -> str:
    return "".join(letters[_whole(generator, 0, len(letters))] for _ in range(n))


def _told(what: str, found: Any, expected: Any, mistakes: Mapping[str, Any]) -> Comparison:
    """`compare`, but mistakes may have any length."""
    if found != expected:
        for advice, mistake in mistakes.items():
            if found == mistake:
                return holds(
                    what, False, f"found {_short(found)}, expected {_short(expected)}; {advice}"
                )
    return compare(what, found, expected)


def _short(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) < 60 else f"{shown[:56]} ..."


def _check_count_pairs(candidate: Any, generator: torch.Generator) -> Iterator[Comparison]:
    ids = torch.randint(97, 101, (_whole(generator, 12, 30),), generator=generator).tolist()
    ids += [ids[-1]] * 3  # a pair of equals, which overlaps itself
    expected: dict[Pair, int] = {}
    for i in range(len(ids) - 1):
        pair = (ids[i], ids[i + 1])
        expected[pair] = expected.get(pair, 0) + 1
    disjoint = Counter(zip(ids[::2], ids[1::2], strict=False))
    ordered = Counter((min(p), max(p)) for p in pairwise(ids))
    mistakes = {
        "only every other pair is counted; pairs overlap": dict(disjoint),
        "(1, 2) and (2, 1) are different pairs": dict(ordered),
        "these are single ids; count pairs of neighbors": dict(Counter(ids)),
    }
    found = candidate(list(ids))
    if isinstance(found, Mapping):
        found = {key: n for key, n in found.items() if n}
    yield _told(f"pairs of {_short(ids)}", found, expected, mistakes)
    yield compare("a single id has no pairs", len(candidate([5])), 0)


def _check_merge_pair(candidate: Any, generator: torch.Generator) -> Iterator[Comparison]:
    ids = torch.randint(3, (_whole(generator, 15, 30),), generator=generator).tolist()
    ids += [1, 1, 1, 1, 1, 0, 2]
    for pair in ((1, 1), (0, 2)):
        text = "".join(map(str, ids))
        expected = [int(c) for c in text.replace("".join(map(str, pair)), "9")]
        dropped = [i for i in expected if i != 9]
        inserted: list[int] = []
        for i in range(len(ids)):  # i goes on by one even after a merge
            inserted.append(9 if tuple(ids[i : i + 2]) == pair else ids[i])
        last = expected[:-1] if expected[-1] != 9 else expected
        mistakes = {
            "the pair is removed, but nothing takes its place": dropped,
            "the second id of the pair is still there": inserted,
            "the second id of the pair is still there, and the last id is lost": inserted[:-1],
            "the last id is lost": last,
        }
        given = list(ids)
        found = candidate(given, pair, 9)
        yield holds("the given list", given == ids, "it was changed; make a new one")
        yield _told(f"{pair} in {text}", found, expected, mistakes)


def _check_decode(candidate: Any, generator: torch.Generator) -> Iterator[Comparison]:
    merges: list[Pair] = [(116, 104), (256, 101), (195, 169), (257, 32), (32, 258)]
    known = [b"th", b"the", "é".encode(), b"the ", " é".encode()]
    chosen = [_whole(generator, 0, 5) for _ in range(6)]
    ids = [*(256 + i for i in chosen), *"übung 语".encode()]
    expected = b"".join(known[i] for i in chosen).decode() + "übung 语"
    table = [bytes([i]) for i in range(256)] + known
    mistakes = {
        "tokens are decoded one by one, but a character may have its bytes in several; join the bytes "
        "first": "".join(table[i].decode(errors="replace") for i in ids),
        "each byte is taken for a character; join the bytes, then decode them": b"".join(
            table[i] for i in ids
        ).decode("latin-1"),
    }
    yield _told("a text", candidate(list(ids), merges), expected, mistakes)
    broken = [*b"a", 128, *b"b", 195]
    try:
        found = candidate(broken, merges)
    except UnicodeDecodeError:
        found = None
    words = "raised UnicodeDecodeError; decode with errors='replace'"
    if found is None:
        yield holds("bytes that are no UTF-8", False, words)
    else:
        dropped = {"the bytes that are no UTF-8 are gone; errors='replace' puts � there": "ab"}
        yield _told("bytes that are no UTF-8", found, "a\ufffdb\ufffd", dropped)


def _reference(text: str, merges: Sequence[Pair]) -> list[int]:
    """By going through all merges in their order, which gives the same as looking for the first."""
    ids = list(text.encode())
    for i, pair in enumerate(merges):
        j = 0
        while j < len(ids) - 1:
            if (ids[j], ids[j + 1]) == pair:
                ids[j : j + 2] = [256 + i]
            j += 1
    return ids


def _left_to_right(text: str, merges: Sequence[Pair]) -> list[int]:
    """The longest token first, from the left: what one might do instead."""
    tokens = [bytes([i]) for i in range(256)]
    for left, right in merges:
        tokens.append(tokens[left] + tokens[right])
    raw, ids = text.encode(), list[int]()
    while raw:
        fitting = [i for i in range(len(tokens)) if raw.startswith(tokens[i])]
        best = max(fitting, key=lambda i: len(tokens[i]))
        ids.append(best)
        raw = raw[len(tokens[best]) :]
    return ids


def _by_frequency(text: str, merges: Sequence[Pair]) -> list[int]:
    """The pair that is most frequent in this text first."""
    ids = list(text.encode())
    while True:
        counts = Counter(p for p in pairwise(ids) if p in merges)
        if not counts:
            return ids
        pair = max(counts, key=lambda p: counts[p])
        ids = merge_pair(ids, pair, 256 + merges.index(pair))


def _once(text: str, merges: Sequence[Pair]) -> list[int]:
    """Each merge at the first place where it applies."""
    ids = list(text.encode())
    for i, pair in enumerate(merges):
        for j in range(len(ids) - 1):
            if (ids[j], ids[j + 1]) == pair:
                ids[j : j + 2] = [256 + i]
                break
    return ids


def _no_second_look(ids: Sequence[int], merges: Sequence[Pair]) -> list[int]:
    """One walk from the left that merges each pair of bytes it meets, and never a new token."""
    found: list[int] = []
    i = 0
    while i < len(ids):
        pair = tuple(ids[i : i + 2])
        known = pair in merges
        found.append(256 + merges.index(pair) if known else ids[i])
        i += 1 + known
    return found


def _check_encode_text(candidate: Any, generator: torch.Generator) -> Iterator[Comparison]:
    # learned from a text in which "bc" is frequent, so that "ab" is merged after it
    merges: list[Pair] = [(98, 99), (97, 98), (256, 97), (257, 256), (99, 99), (258, 98)]
    text = _text(generator, 25, "abc") + "abcabc"
    found = candidate(text, merges)
    mistakes = {
        "a single walk from the left misses the order of the list, and pairs of new tokens": (
            _no_second_look(list(text.encode()), merges)
        ),
        "the longest token is taken from the left; merges apply in the order in which they were "
        "learned": _left_to_right(text, merges),
        "the pair that is most frequent in this text is merged first; the order is that of the list": (
            _by_frequency(text, merges)
        ),
        "each merge is applied once; apply it wherever its pair occurs": _once(text, merges),
        "nothing is merged": list(text.encode()),
    }
    yield _told(f"ids of {text!r}", found, _reference(text, merges), mistakes)
    wide = {"a character can be several bytes; begin with text.encode()": [ord(c) for c in "xé"]}
    other = list("xé".encode())
    yield _told("a text of other letters", candidate("xé", merges), other, wide)
    yield compare("an empty text", candidate("", merges), [])


def _check_learn_merges(candidate: Any, generator: torch.Generator) -> Iterator[Comparison]:
    words = [_text(generator, _whole(generator, 1, 6), "abcd") for _ in range(60)] + ["aaaa"] * 3
    n = 8
    found = candidate(list(words), n)
    is_list = isinstance(found, list | tuple) and all(
        isinstance(p, list | tuple) and len(p) == 2 and isinstance(p[0], int) for p in found
    )
    otherwise = f"found {_short(found)}, expected a list of pairs of ids; a word is word.encode()"
    yield holds("a list of pairs", is_list, otherwise)
    spelled = [list(word.encode()) for word in words]
    once = Counter(pair for word in set(words) for pair in pairwise(word.encode()))
    joined, first = list("".join(words).encode()), Counter[Pair]()
    for i in range(n):
        counts = Counter(pair for ids in spelled for pair in pairwise(ids))
        across, first = Counter(pairwise(joined)), first or counts
        what, most = f"merge {i + 1}", max(counts.values())
        if i >= len(found):
            yield holds(what, False, f"found {len(found)} merges, expected {n}")
        pair = tuple(found[i])
        otherwise = (
            f"{pair} occurs {counts[pair]} times within words, the most frequent pair {most} times"
        )
        if across[pair] == max(across.values()):
            otherwise += "; pairs across the border of two words are counted"
        elif not i and once[pair] == max(once.values()):
            otherwise += "; a word counts as often as it is in the list"
        elif first[pair] >= sorted(first.values())[-1 - i]:
            otherwise += "; count again after each merge, with 256, 257, ... for the new tokens"
        yield holds(what, counts[pair] == most, otherwise)
        spelled = [merge_pair(ids, pair, 256 + i) for ids in spelled]
        joined = merge_pair(joined, pair, 256 + i)
    rare = candidate(["ab", "cd", "ab"], 5)
    otherwise = f"found {_short(rare)}, expected [(97, 98)]: no other pair occurs twice"
    yield holds("an early stop", [tuple(p) for p in rare] == [(97, 98)], otherwise)


def _check_encode_special(candidate: Any, generator: torch.Generator) -> Iterator[Comparison]:
    special = {"<|end|>": 1000, "<|user|>": 1001, "a.b": 1002}

    def encode(text: str) -> list[int]:  # depends on the whole piece
        return [*text.encode(), 500 + len(text)]

    pieces: list[str] = []
    for _ in range(4):
        pieces += [_text(generator, _whole(generator, 1, 5), "xyz"), "<|end|>"]
    pieces += ["<|user|>", "<|user|>", "hi a-b", "a.b", "end"]
    expected: list[int] = []
    for piece in pieces:
        expected += [special[piece]] if piece in special else encode(piece)
    text = "".join(pieces)
    plain = encode(text)
    without = [i for i in expected if i < 1000]
    unescaped: list[int] = []
    for piece in re.split("(" + "|".join(special) + ")", text):
        unescaped += [special[piece]] if piece in special else encode(piece) if piece else []
    empty, single, lost = list[int](), list[int](), list[int]()
    for piece in re.split("(" + "|".join(map(re.escape, special)) + ")", text):
        ordinary = piece not in special
        empty += encode(piece) if ordinary else [special[piece]]
        single += [i for c in piece for i in encode(c)] if ordinary else [special[piece]]
        lost += encode(piece) if ordinary else []
    found = candidate(text, special, encode)
    if found == empty:
        found = expected  # empty pieces may be encoded
    mistakes = {
        "the special tokens are encoded as ordinary text": plain,
        "the special tokens are lost; put the pattern of re.split in brackets": (
            lost if found == lost else without
        ),
        "ordinary text is encoded letter by letter; a piece is the whole text between two spellings": (
            single
        ),
        "a dot or a bar in a spelling is read as a pattern; use re.escape": unescaped,
    }
    yield _told(f"ids of {_short(text)}", found, expected, mistakes)
    yield compare("a text without any", candidate("xyz", special, encode), encode("xyz"))


EXERCISES = [
    Exercise(
        "11.1",
        "count_pairs",
        title="Count pairs",
        hint="zip(ids, ids[1:]), or itertools.pairwise(ids), goes through all pairs of neighbors. A "
        "Counter counts whatever it is given.",
        solution=count_pairs,
        check=_check_count_pairs,
    ),
    Exercise(
        "11.2",
        "merge_pair",
        title="Merge one pair",
        hint="A while loop over a position i: if the ids at i and i + 1 are the pair, append the new "
        "id and go on by 2, else append the id at i and go on by 1.",
        solution=merge_pair,
        check=_check_merge_pair,
    ),
    Exercise(
        "11.3",
        "decode",
        title="Decode",
        hint="Make a list of the bytes of each token: 256 single bytes, then for each merge the "
        "bytes of its two parts, one after the other. bytes.decode has the option "
        "errors='replace'.",
        solution=decode,
        check=_check_decode,
    ),
    Exercise(
        "11.4",
        "encode_text",
        title="Encode",
        hint="Begin with list(text.encode()). Of the pairs in the sequence, find the one with the "
        "smallest index in merges; merge it everywhere; repeat until no pair is in merges.",
        solution=encode_text,
        check=_check_encode_text,
    ),
    Exercise(
        "11.5",
        "learn_merges",
        title="Learn merges",
        hint="Keep a list of lists of ids, one for each word. In each round count the pairs of all "
        "words together, take the most frequent one, and merge it in each word.",
        solution=learn_merges,
        check=_check_learn_merges,
    ),
    Exercise(
        "11.6",
        "encode_special",
        title="Special tokens",
        hint="re.split with a pattern in brackets keeps what it splits at: re.split('(a|b)', 'xay') "
        "is ['x', 'a', 'y']. re.escape makes a spelling safe to be used in a pattern.",
        solution=encode_special,
        check=_check_encode_special,
    ),
]
