"""Prompts as ids, and tokens as texts."""

from __future__ import annotations

import pytest

from hornbook.errors import DataError
from hornbook.tokenizers import build_tokenizer
from hornbook.tokenizers.byte import ByteTokenizer

pytest.importorskip("fastapi", reason="needs the extra serve")


def test_prompts_become_ids() -> None:
    from hornbook.serve.errors import ApiError
    from hornbook.serve.limits import Limits
    from hornbook.serve.prompts import as_prompts

    tokenizer, limits = build_tokenizer("char", "abc", documents=True), Limits(prompt_tokens=5)
    for prompt, expected in (
        (None, [[0]]), ("ab", [[0, 1, 2]]), (["a", ""], [[0, 1], [0]]), ([2, 3], [[2, 3]]),
        ([[1], []], [[1], [0]]),
    ):  # fmt: skip
        found = as_prompts(prompt, tokenizer, "error", limits)  # type: ignore[arg-type]
        assert [(one.ids, one.held) for one in found] == [(ids, b"") for ids in expected]
    for wrong in ([], [4], "aaaaa"):
        with pytest.raises(ApiError):
            as_prompts(wrong, tokenizer, "error", limits)


def test_the_plain_template() -> None:
    from hornbook.serve.prompts import chat_prompt
    from hornbook.serve.schemas import Message

    talk = [Message(role="system", content="s"), Message(role="user", content="u")]
    assert chat_prompt(talk, documents=False) == "s\nu\n"
    assert chat_prompt(talk, documents=True) == "u"
    talk.append(Message(role="assistant", content="so"))
    assert chat_prompt(talk, documents=False) == "s\nu\nso"


def test_the_template_of_the_run() -> None:
    from hornbook.data.template import Template
    from hornbook.serve.prompts import chat_prompt
    from hornbook.serve.schemas import Message

    talk = [Message(role="system", content="s"), Message(role="user", content="1+1=")]
    pair, chat = Template.of("prompt+completion"), Template.of("messages")
    assert chat_prompt(talk, documents=True, template=pair) == "1+1="
    assert chat_prompt(talk, documents=True, template=chat) == "system: s\nuser: 1+1=\nassistant: "
    talk.append(Message(role="assistant", content="so"))
    assert chat_prompt(talk, documents=True, template=pair) == "1+1=so"
    assert chat_prompt(talk, documents=True, template=chat).endswith("\nassistant: so")
    with pytest.raises(DataError, match="control character"):
        chat_prompt([Message(role="user", content="\x02")], documents=True, template=pair)


def test_ids_of_a_typed_text_may_end_inside_a_token() -> None:
    from hornbook.serve.limits import Limits
    from hornbook.serve.prompts import as_prompts

    tokenizer = build_tokenizer(
        "bpe", "", documents=True, vocab_size=300, training=lambda: ["hello help " * 50]
    )
    limits = Limits()
    (text,) = as_prompts("h", tokenizer, "error", limits)
    assert text.held
    assert as_prompts(text.ids, tokenizer, "error", limits, typed=True) == [text]
    assert as_prompts(text.ids, tokenizer, "error", limits)[0].held == b""


def test_tokens_have_texts_of_their_own() -> None:
    from hornbook.serve.prompts import encode_with_end, token_text

    tokenizer = ByteTokenizer(documents=True)
    texts = [token_text(tokenizer, i) for i in range(257)]
    assert len(set(texts)) == 257
    assert texts[97] == "a"
    assert texts[0xE2] == "bytes:\\xe2"
    assert texts[256] == tokenizer.end
    assert encode_with_end(tokenizer, "a\0b\0") == [97, 256, 98, 256]
    assert encode_with_end(tokenizer, tokenizer.end) == list(tokenizer.end.encode())
    stream = ByteTokenizer(documents=False)
    assert encode_with_end(stream, "ab") == [97, 98]
