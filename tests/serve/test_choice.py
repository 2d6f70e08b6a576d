"""A continuation: pieces that never split a character nor show part of a stop string."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hornbook.serve.choice import Choice, Logprob, Offsets, Options, Piece
from hornbook.tokenizers import build_tokenizer
from hornbook.tokenizers.byte import ByteTokenizer

BYTES = ByteTokenizer(documents=True)


def pieces_of(tokens: list[int], options: Options, *, stream: bool) -> tuple[Choice, list[Piece]]:
    """What a choice returns for tokens one after the other."""
    choice = Choice(0, [BYTES.end_id], BYTES, options, stream=stream)
    found = []
    for token in tokens:
        piece = choice.push(token, Logprob(token, -1.0, ()), 0.0)
        if piece is not None:
            found.append(piece)
            if piece.finish is not None:
                break
    return choice, found


texts = st.text(st.sampled_from("ab é白👩‍💻\u0301"), max_size=12)


@given(texts, st.lists(texts.filter(bool), max_size=3), st.integers(1, 40))
@settings(max_examples=300, deadline=None)
def test_pieces_are_the_text_up_to_the_first_stop(text: str, stop: list[str], most: int) -> None:
    tokens = [*text.encode(), BYTES.end_id]
    options = Options(max_tokens=most, stop=tuple(stop), alternatives=0)
    choice, pieces = pieces_of(tokens, options, stream=True)
    read = bytes(t for t in tokens[:most] if t != BYTES.end_id)
    whole = read.decode("utf-8", "replace")
    # a stop string ends the text as soon as it is there, so a later one that begins earlier is not met
    ends = [(n, i) for n in range(1, len(whole) + 1) for s in stop if (i := whole[:n].find(s)) >= 0]
    expected = whole[: min(ends)[1]] if ends else whole
    assert "".join(p.text for p in pieces) == expected == choice.text
    stopped = bool(ends) or len(tokens) <= most
    assert [p.finish for p in pieces] == [None] * (len(pieces) - 1) + [
        "stop" if stopped else "length"
    ]
    so_far = ""
    for piece in pieces:
        so_far += piece.text
        assert expected.startswith(so_far)
    logprobs = [entry.token for piece in pieces for entry in piece.logprobs]
    assert logprobs == choice.tokens[: len(logprobs)]
    if not ends:
        assert logprobs == choice.tokens
    alone, (end,) = pieces_of(tokens, options, stream=False)
    assert alone.text == expected == end.text
    assert alone.finish == choice.finish
    assert [entry.token for entry in alone.shown] == logprobs


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("text", "expected"), [("so\n", "so"), ("so\n\n", "so\n"), ("s\no", "s\no"), ("", "")]
)
def test_what_ends_a_document_is_left_out(text: str, expected: str, stream: bool) -> None:
    options = Options(ending="\n")
    choice, pieces = pieces_of([*text.encode(), BYTES.end_id], options, stream=stream)
    assert choice.text == "".join(piece.text for piece in pieces) == expected
    cut, _ = pieces_of(
        [*text.encode()], Options(ending="\n", max_tokens=len(text) or 1), stream=stream
    )
    assert text == "" or cut.text == text  # a limit is not the end of a document


def test_the_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    choice = Choice(0, [256], BYTES, Options(deadline=10.0))
    assert choice.push(97, None, 9.0) is None
    piece = choice.push(98, None, 10.5)
    assert piece == Piece(0, "ab", (), "length")


def test_penalties_and_bias() -> None:
    import torch

    options = Options(bias={5: 2.0}, presence=1.0, frequency=0.5)
    choice = Choice(0, [256], BYTES, options)
    for token in (7, 7, 9):
        choice.push(token, None, 0.0)
    logits = torch.zeros(257)
    choice.adjust(logits)
    assert {i: v for i, v in enumerate(logits.tolist()) if v} == {5: 2.0, 7: -2.0, 9: -1.5}
    assert options.adjusts
    assert not Options().adjusts


def test_offsets_count_characters() -> None:
    offsets = Offsets(BYTES)
    for byte in "aé白b".encode():
        offsets.push(byte)
    assert offsets.before == [0, 1, 1, 2, 2, 2, 3]
    tokenizer = build_tokenizer("char", "abc", documents=True)
    offsets = Offsets(tokenizer, 10)
    for token in (1, 2, 0, 3):
        offsets.push(token)
    assert offsets.before == [10, 11, 12, 12]


def test_a_token_after_a_broken_character_begins_behind_it() -> None:
    for raw in (
        b"\xe2a",
        b"\xe2\xe2\x82\xaca",
        b"\xe0\x80a",
        b"\xffa",
        "\ufffda".encode(),
        b"\xf0\x9fa",
    ):
        offsets = Offsets(BYTES)
        for byte in raw:
            offsets.push(byte)
        assert offsets.before[-1] == len(raw.decode("utf-8", "replace")) - 1, raw
