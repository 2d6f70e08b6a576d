"""A part: units of tokens, every one predicted once."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from hornbook.data.part import Part, fitting_context
from hornbook.errors import DataError
from hornbook.tokenizers import build_tokenizer
from tests.data.texts import BOTTLES, NAMES


def test_bytes_are_those_of_the_tokens_that_are_predicted() -> None:
    tokenizer = build_tokenizer("char", "abcæ", documents=True)
    part = Part.of_documents(["aæ", "dac"], tokenizer, unknown="skip")
    assert part.n_bytes == 3 + 1 + 2 + 1  # d is skipped
    stream = build_tokenizer("char", "abcæ", documents=False)
    assert Part.of_stream("xæab", stream, unknown="skip").n_bytes == 2  # æ is read, ab predicted
    assert Part.of_stream("æb", stream, before="a").n_bytes == 3


def test_documents_lie_between_ends() -> None:
    tokenizer = build_tokenizer("char", "aemmoliv", documents=True)
    part = Part.of_documents(["emma", "olivia"], tokenizer)
    assert "".join(map(tokenizer.symbol, part.tokens.tolist())) == ".emma.olivia."
    assert part.starts.tolist() == [0, 5, 12]
    assert (part.n_targets, part.longest) == (12, 7)


def test_a_line_break_inside_a_document_is_refused() -> None:
    tokenizer = build_tokenizer("char", "ab", documents=True)
    with pytest.raises(DataError, match=r"document 2 .*line break inside"):
        Part.of_documents(["ab", "a\nb"], tokenizer)


def test_a_single_token_predicts_nothing() -> None:
    tokenizer = build_tokenizer("char", "ab", documents=False)
    with pytest.raises(DataError, match="found no token to predict, expected at least one"):
        Part.of_stream("a", tokenizer)


def test_a_spread_of_a_stream_is_whole_blocks_of_it() -> None:
    text = "".join(map(chr, range(0x4E00, 0x5100)))  # each character once
    tokenizer = build_tokenizer("char", text, documents=False)
    part = Part.of_stream(text, tokenizer)
    for limit, block in ((200, 8), (100, 64), (50, 64), (7, 3)):
        parts = part.spread(limit, block, tokenizer)
        assert 0 < sum(p.n_targets for p in parts) <= limit
        for one in parts:
            piece = tokenizer.decode(one.tokens)
            assert piece in text
            assert one.n_targets % min(block, limit) == 0
            assert (one.n_targets, one.n_bytes) == (len(piece) - 1, len(piece[1:].encode()))
        begins = [text.index(tokenizer.decode(p.tokens)) for p in parts]
        assert begins == sorted(set(begins))
    assert part.spread(10**6, 8, tokenizer) == [part]


def test_a_spread_of_documents_is_whole_documents() -> None:
    tokenizer = build_tokenizer("char", "".join(NAMES), documents=True)
    part = Part.of_documents(NAMES, tokenizer)
    (some,) = part.spread(part.n_targets // 3, 8, tokenizer)
    assert 0 < some.n_targets < part.n_targets
    assert set(tokenizer.decode_documents(some.tokens)) <= set(NAMES)


@pytest.mark.parametrize("kind", ["documents", "stream"])
def test_a_subset_predicts_what_the_whole_predicts(kind: str) -> None:
    documents = kind == "documents"
    content = "\n".join(NAMES) if documents else BOTTLES
    tokenizer = build_tokenizer("char", content, documents=documents)
    part = Part.of_documents(NAMES, tokenizer) if documents else Part.of_stream(BOTTLES, tokenizer)
    for limit in (200, 600):
        some = part.subset(limit, tokenizer)
        assert 0.5 * limit < some.n_targets < 1.5 * limit
        ends = len(some.starts) - 1 if documents else 0
        assert some.n_bytes == len(tokenizer.decode_bytes(some.tokens[1:])) + ends
        for a, b in itertools.pairwise(some.starts.tolist()):
            assert tokenizer.decode(some.tokens[a : b + 1]) in (NAMES if documents else BOTTLES)
    assert part.subset(0, tokenizer) is part.subset(10**9, tokenizer) is part


def test_chosen_units_and_stretches_are_parts_of_the_part() -> None:
    tokenizer = build_tokenizer("char", "abcd", documents=True)
    part = Part.of_documents(["ab", "c", "dad", "b"], tokenizer)
    chosen = part.units(np.array([True, False, True, False]), tokenizer)
    assert "".join(map(tokenizer.symbol, chosen.tokens.tolist())) == ".ab.dad."
    assert chosen.starts.tolist() == [0, 3, 7]
    assert chosen.n_bytes == chosen.n_targets == 7
    stream = build_tokenizer("char", "abcd", documents=False)
    whole = Part.of_stream("abcdabcd", stream)
    some = whole.stretch(2, 5, stream)
    assert "".join(map(stream.symbol, some.tokens.tolist())) == "cdab"
    assert (some.starts.tolist(), some.n_bytes) == ([0, 3], 3)


@pytest.mark.parametrize("n", [6, 8, 300])
def test_what_is_held_back_and_the_rest_are_all_of_it(n: int) -> None:
    tokenizer = build_tokenizer("char", "aemmolivæ", documents=True)
    part = Part.of_documents(["emmæ", "olivia", "ava"] * 40, tokenizer)
    rest, held = part.hold_back(n, tokenizer)
    assert n <= held.n_targets < n + 7  # whole documents
    assert [*rest.tokens, *held.tokens[1:]] == part.tokens.tolist()
    assert [*rest.starts, *(held.starts[1:] + rest.n_targets)] == part.starts.tolist()
    assert rest.n_bytes + held.n_bytes == part.n_bytes
    assert held.n_bytes == tokenizer.count_bytes(held.tokens[1:])


@pytest.mark.parametrize("documents", [["aa", "ab" * 500], ["ab" * 500, "aa"], ["ab" * 500]])
def test_of_a_long_document_the_end_is_held_back(documents: list[str]) -> None:
    """Held back whole, it would leave nothing to read."""
    tokenizer = build_tokenizer("char", "ab", documents=True)
    part = Part.of_documents(documents, tokenizer)
    rest, held = part.hold_back(100, tokenizer)
    assert held.n_targets == 100
    assert [*rest.tokens, *held.tokens[1:]] == part.tokens.tolist()
    assert set(part.starts) <= {*rest.starts, *(held.starts + rest.n_targets)}
    assert rest.n_bytes + held.n_bytes == part.n_bytes


def test_of_a_stream_the_end_is_held_back() -> None:
    tokenizer = build_tokenizer("char", BOTTLES, documents=False)
    part = Part.of_stream(BOTTLES, tokenizer)
    rest, held = part.hold_back(40, tokenizer)
    assert (held.n_targets, held.starts.tolist()) == (40, [0, 40])
    assert rest.starts.tolist() == [0, rest.n_targets]
    assert [*rest.tokens, *held.tokens[1:]] == part.tokens.tolist()


def test_chunks_of_every_nth_unit_are_all_chunks() -> None:
    tokenizer = build_tokenizer("char", "\n".join(NAMES), documents=True)
    part = Part.of_documents(NAMES, tokenizer)
    whole = part.chunks(4)
    starts = np.concatenate([part.chunks(4, shard=(k, 3)).start for k in range(3)])
    assert sorted(starts.tolist()) == whole.start.tolist()


def test_a_context_of_which_a_part_holds_two_blocks() -> None:
    assert fitting_context(1000, 256) == 256
    assert fitting_context(511, 256) == 128
    assert fitting_context(2, 256) == 2
