"""Requests: what is read, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

pytest.importorskip("fastapi", reason="needs the extra serve")


def test_prompts_of_every_form() -> None:
    from hornbook.serve.schemas import CompletionRequest

    for prompt in (None, "", "a", ["a", "b"], [1, 2], [[1], [2, 3]], []):
        assert CompletionRequest(prompt=prompt).prompt == prompt
    for wrong in ([1, "a"], [True], [1.5], {"a": 1}, 3):
        with pytest.raises(ValidationError):
            CompletionRequest.model_validate({"prompt": wrong})


@pytest.mark.parametrize(
    "field",
    [
        {"tools": [{}]}, {"functions": [{}]}, {"tool_choice": "required"}, {"audio": {}},
        {"response_format": {"type": "json_object"}}, {"modalities": ["audio"]},
        {"function_call": {"name": "f"}}, {"reasoning_effort": "low"}, {"verbosity": "low"},
        {"prediction": {}}, {"web_search_options": {}},
        {"messages": []}, {"messages": [{"role": "tool", "content": "x"}]},
        {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
    ],
)  # fmt: skip
def test_what_a_chat_cannot_do_is_refused(field: dict[str, Any]) -> None:
    from hornbook.serve.schemas import ChatRequest

    good = {"messages": [{"role": "user", "content": "x"}], "tool_choice": "none", "other": 1}
    assert ChatRequest.model_validate(good).messages[0].text == "x"
    with pytest.raises(ValidationError) as caught:
        ChatRequest.model_validate({**good, **field})
    assert caught.value.errors()[0]["loc"][0] == next(iter(field))


@pytest.mark.parametrize(
    ("wrong", "found"),
    [
        ([1, "a"], "a list of integers and texts"), ([[1], "a"], "a list of lists and texts"),
        ([True], "a list of booleans"), ({}, "object"), (3, "integer"), ([-1], "a list of integers"),
    ],
)  # fmt: skip
def test_a_prompt_of_no_form_is_told_what_it_may_be(wrong: Any, found: str) -> None:
    from hornbook.serve.errors import invalid
    from hornbook.serve.schemas import CompletionRequest

    with pytest.raises(ValidationError) as caught:
        CompletionRequest.model_validate({"prompt": wrong})
    error = invalid(caught.value)
    assert error.param == "prompt"
    assert error.message.startswith(
        f"prompt: found {found}, expected a text, a list of texts, a list"
    )
