"""From requests to continuations: options, seeds, streams."""

from __future__ import annotations

import pytest

from hornbook.api import Run

pytest.importorskip("fastapi", reason="needs the extra serve")


def test_options_have_the_meaning_of_the_command_line(names_run: Run) -> None:
    from hornbook.serve.generation import as_options
    from hornbook.serve.limits import Limits
    from hornbook.serve.schemas import CompletionRequest

    nothing = dict.fromkeys(("temperature", "top_p", "top_k", "min_p", "n", "stop"))
    for body in ({}, nothing, {"top_k": 0}, {"top_k": -1}, {"top_p": 1, "min_p": 0}, {"top_k": 99}):
        request = CompletionRequest.model_validate(body)
        options = as_options(request, names_run, Limits(), max_tokens=None, alternatives=None)
        sampling = options.sampling
        assert (sampling.temperature, sampling.top_k, sampling.top_p, sampling.min_p) == (
            1.0, None, None, None,
        )  # fmt: skip
        assert options.max_tokens == 500
    request = CompletionRequest(stop="x", logit_bias={"3": 1.0}, top_k=3)
    options = as_options(request, names_run, Limits(), max_tokens=7, alternatives=2)
    assert (options.stop, options.bias, options.sampling.top_k) == (("x",), {3: 1.0}, 3)


def test_choices_of_one_prompt_share_a_key(names_run: Run) -> None:
    from hornbook.serve.choice import Options
    from hornbook.serve.generation import as_choices
    from hornbook.serve.prompts import Beginning

    one, other = Beginning([0]), Beginning([0, 1])

    choices = as_choices([one, other], names_run, Options(), 5, 2, stream=False)
    assert [c.number for c in choices] == [0, 1, 0, 1]
    assert len({c.key for c in choices}) == 1
    others = as_choices([one, one], names_run, Options(), None, 1, stream=False)
    assert others[0].key != others[1].key
    negative = as_choices([one], names_run, Options(), -5, 1, stream=False)
    assert negative[0].key != choices[0].key


def test_an_event_is_one_line() -> None:
    from hornbook.serve.generation import event_bytes

    assert event_bytes("[DONE]") == b"data: [DONE]\n\n"
    assert event_bytes({"a": "b\nc"}) == b'data: {"a":"b\\nc"}\n\n'
