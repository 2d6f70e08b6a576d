"""The shapes of responses."""

from __future__ import annotations

import pytest

from hornbook.serve.choice import Logprob, Piece
from hornbook.tokenizers import build_tokenizer

pytest.importorskip("fastapi", reason="needs the extra serve")

TOKENIZER = build_tokenizer("char", "abc", documents=True)


def test_logprobs_list_the_token_itself_and_offsets_count_on() -> None:
    from hornbook.serve.prompts import Beginning
    from hornbook.serve.responses import CompletionFormat

    form = CompletionFormat(TOKENIZER, logprobs=True, begun=[Beginning([])] * 2)
    first = form.chunk(Piece(0, "ab", (Logprob(1, -1.0, ((2, -0.5),)), Logprob(2, -2.0, ())), None))
    assert first["logprobs"] == {
        "tokens": ["a", "b"],
        "token_logprobs": [-1.0, -2.0],
        "top_logprobs": [{"b": -0.5, "a": -1.0}, {"b": -2.0}],
        "text_offset": [0, 1],
    }
    last = form.chunk(Piece(0, "", (Logprob(0, -3.0, ()),), "stop"))
    assert last["logprobs"]["tokens"] == [TOKENIZER.end]
    assert last["logprobs"]["text_offset"] == [2]
    assert form.chunk(Piece(1, "", (Logprob(1, None, ()),), None))["logprobs"] == {
        "tokens": ["a"], "token_logprobs": [None], "top_logprobs": [None], "text_offset": [0],
    }  # fmt: skip
    assert (
        CompletionFormat(TOKENIZER, logprobs=False, begun=[Beginning([])]).chunk(
            Piece(0, "a", (), None)
        )["logprobs"]
        is None
    )


def test_tokens_are_spelled_as_ids_where_that_is_asked_for() -> None:
    from hornbook.serve.prompts import Beginning
    from hornbook.serve.responses import CompletionFormat

    tokenizer = build_tokenizer("char", "ab", documents=True)
    form = CompletionFormat(tokenizer, logprobs=True, begun=[Beginning([])], ids=True)
    piece = Piece(0, "a", (Logprob(1, -1.5, ((2, -0.5), (0, -2.0))),), None)
    found = form.chunk(piece)["logprobs"]
    assert found["tokens"] == ["token_id:1"]
    assert found["top_logprobs"] == [{"token_id:2": -0.5, "token_id:0": -2.0, "token_id:1": -1.5}]


def test_chat_has_bytes() -> None:
    from hornbook.serve.responses import ChatFormat

    form = ChatFormat(TOKENIZER, logprobs=True)
    chunk = form.chunk(Piece(0, "a", (Logprob(1, -1.0, ((1, -1.0),)),), None))
    (entry,) = chunk["logprobs"]["content"]
    assert entry["bytes"] == [97]
    assert entry["top_logprobs"] == [{"token": "a", "logprob": -1.0, "bytes": [97]}]
    assert form.chunk(Piece(0, "", (), "stop"))["delta"] == {}
