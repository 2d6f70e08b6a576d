"""Requests made of random JSON: never a status of 500, always a JSON answer.

The short form; `schemathesis run URL/openapi.json` goes on for longer (docs/logbook.md).
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.serve.conftest import Live

pytest.importorskip("fastapi", reason="needs the extra serve")

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 40), st.integers(), st.floats(), st.text(max_size=6),
    st.sampled_from(["names", "run", "a", "em", "1 green", "skip", "error", "user", "stop"]),
)  # fmt: skip
anything = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
message = st.fixed_dictionaries({"role": st.just("user"), "content": st.text("abem", max_size=5)})
GOOD: dict[str, st.SearchStrategy[Any]] = {
    "model": st.sampled_from(["names", "run"]),
    "prompt": st.text("abem 1", max_size=5) | st.lists(st.integers(0, 30), max_size=5),
    "messages": st.lists(message, min_size=1, max_size=3),
    "input": st.text("abem", min_size=1, max_size=5),
    "text": st.text("abem", max_size=5),
    "runs": st.lists(st.sampled_from(["names", "run"]), max_size=3),
    "max_tokens": st.integers(0, 5),
    "temperature": st.floats(0, 3),
    "top_k": st.integers(-1, 40),
    "top_p": st.floats(0.01, 1),
    "min_p": st.floats(0, 1),
    "n": st.integers(1, 3),
    "best_of": st.integers(1, 4),
    "stop": st.text("ab", min_size=1, max_size=2) | st.lists(st.text("ab", min_size=1), max_size=3),
    "seed": st.integers(-(1 << 63), (1 << 63) - 1),
    "stream": st.booleans(),
    "stream_options": st.fixed_dictionaries({"include_usage": st.booleans()}),
    "logprobs": st.integers(0, 5) | st.booleans(),
    "top_logprobs": st.integers(0, 5),
    "echo": st.booleans(),
    "logit_bias": st.dictionaries(st.sampled_from(["0", "1", "5"]), st.floats(-100, 100)),
    "frequency_penalty": st.floats(-2, 2),
    "presence_penalty": st.floats(-2, 2),
    "leaves": st.integers(1, 5),
    "depth": st.integers(1, 3),
    "alternatives": st.integers(0, 5),
    "unknown": st.just("skip"),
    "tokens": st.lists(st.integers(0, 40), max_size=5),
}
POSTS = [
    "/v1/completions", "/v1/chat/completions", "/v1/score", "/hornbook/attention", "/hornbook/tree",
    "/hornbook/embeddings", "/tokenize", "/detokenize",
]  # fmt: skip


@st.composite
def bodies(draw: st.DrawFn) -> dict[str, Any]:
    """Mostly good fields, and perhaps one of anything."""
    names = draw(st.sets(st.sampled_from(sorted(GOOD)), max_size=12)) | {"model"}
    names |= draw(st.sampled_from([{"prompt", "messages", "input"}, set[str]()]))
    body = {name: draw(GOOD[name]) for name in sorted(names)}
    body.setdefault("max_tokens", 3)
    if draw(st.booleans()):
        body[draw(st.sampled_from(sorted(GOOD)) | st.text(max_size=5))] = draw(anything)
    return body


@settings(
    max_examples=150, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(path=st.sampled_from(POSTS), body=bodies() | anything)
def test_any_json(live: Live, path: str, body: Any) -> None:
    status, headers, content = live.request("POST", path, json.dumps(body).encode())
    assert status in (200, 400, 404)
    if headers["content-type"].startswith("text/event-stream"):
        assert b"server_error" not in content
        assert b"data: [DONE]" in content
    else:
        answer = json.loads(content)
        assert ("error" in answer) == (status != 200)
