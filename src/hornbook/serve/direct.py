"""Requests for text, past FastAPI: its routes and dependencies cost as much as generating a name.

FastAPI describes the same endpoints, and answers other methods.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from hornbook.serve.errors import ApiError, as_api_error, invalid

Endpoint = Callable[[Any, Receive], Awaitable[Response]]


class Direct:
    """ASGI middleware. endpoints: of a path, what its JSON is read as, and what answers it."""

    def __init__(
        self, app: ASGIApp, endpoints: Mapping[str, tuple[type[BaseModel], Endpoint]]
    ) -> None:
        self.app, self.endpoints = app, endpoints

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request."""
        found = self.endpoints.get(scope.get("path", ""))
        if found is None or scope.get("method") != "POST":
            await self.app(scope, receive, send)
            return
        try:
            _check_type(scope)
            response = await self._answer(*found, receive)
        except ClientDisconnect:
            return
        except Exception as error:
            response = as_api_error(error).response()
        await response(scope, receive, send)

    async def _answer(
        self, schema: type[BaseModel], endpoint: Endpoint, receive: Receive
    ) -> Response:
        try:
            request = schema.model_validate_json(await _body(receive))
        except ValidationError as error:
            return invalid(error).response()
        return await endpoint(request, receive)


def _check_type(scope: Scope) -> None:
    """A page of another origin cannot send this type unasked, as it can plain text."""
    found = Headers(scope=scope).get("content-type", "")
    if found.partition(";")[0].strip().lower() != "application/json":
        raise ApiError(400, f"Content-Type: found {found[:100]!r}, expected 'application/json'")


async def _body(receive: Receive) -> bytes:
    pieces, more = [], True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        pieces.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(pieces)
