"""Requests past the framework: what is answered there, and what is left to it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

pytest.importorskip("starlette", reason="pip install 'hornbook[serve]'")

from pydantic import BaseModel
from starlette.responses import JSONResponse, Response

from hornbook.serve.direct import Direct


class Asked(BaseModel):
    n: int


async def twice(request: Asked, receive: object) -> Response:
    return JSONResponse({"twice": 2 * request.n})


async def framework(scope: Any, receive: Any, send: Any) -> None:
    await JSONResponse({"framework": True})(scope, receive, send)


def answered(pieces: list[bytes], *, kind: bytes = b"application/json", **scope: Any) -> Any:
    """The status and the JSON of an answer; None where there is none. A body of None: it goes away."""
    sent: list[dict[str, Any]] = []
    waiting = [
        {"type": "http.request", "body": piece, "more_body": i + 1 < len(pieces)}
        for i, piece in enumerate(pieces)
    ] or [{"type": "http.disconnect"}]

    async def receive() -> Any:
        return waiting.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"content-type", kind)]
    whole = {"type": "http", "method": "POST", "path": "/twice", "headers": headers, **scope}
    asyncio.run(Direct(framework, {"/twice": (Asked, twice)})(whole, receive, send))
    return (sent[0]["status"], json.loads(sent[1]["body"])) if sent else None


def test_a_body_in_pieces_is_read_and_answered() -> None:
    assert answered([b'{"n"', b": 4}"]) == (200, {"twice": 8})


def test_other_paths_and_methods_are_left_to_the_framework() -> None:
    for scope in ({"path": "/other"}, {"method": "GET"}):
        assert answered([b'{"n": 4}'], **scope) == (200, {"framework": True})


@pytest.mark.parametrize(
    ("body", "kind", "said"),
    [
        (b'{"n": 4}', b"text/plain", "found 'text/plain', expected 'application/json'"),
        (b'{"n": "x"}', b"application/json", "n"),
        (b"{", b"application/json", "JSON"),
    ],
)
def test_what_cannot_be_read_is_an_error_of_openai_s_shape(
    body: bytes, kind: bytes, said: str
) -> None:
    status, found = answered([body], kind=kind)
    assert status == 400
    assert said in found["error"]["message"]


def test_a_client_that_goes_away_is_not_answered() -> None:
    assert answered([]) is None
