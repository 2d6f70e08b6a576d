"""Errors in the shape that OpenAI's clients read."""

from __future__ import annotations

import json
import logging
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from hornbook.errors import HornbookError, RunError
from hornbook.files import dump
from hornbook.serve.engine import FailedError, QueueFullError, StoppedError
from hornbook.serve.shelf import UnknownModelError

logger = logging.getLogger("hornbook.serve")
TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


class Json(Response):
    """JSON in ASCII, so that any text can be written, without NaN."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """The bytes of the body."""
        try:
            return json.dumps(content, allow_nan=False, separators=(",", ":")).encode()
        except ValueError:  # NaN or infinity: null
            return json.dumps(json.loads(dump(content)), separators=(",", ":")).encode()


class ApiError(HTTPException):
    """An answer that says what is wrong. param: the field of the request that it is about.

    An HTTPException, since FastAPI takes any other error while a body is read for a broken body.
    """

    def __init__(
        self, status: int, message: str, *, param: str | None = None, code: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:  # fmt: skip
        super().__init__(status, message, headers)
        self.status, self.message, self.param, self.code = status, message, param, code

    def body(self) -> dict[str, Any]:
        """What is sent."""
        kind = "server_error" if self.status >= 500 else "invalid_request_error"
        return {
            "error": {
                "message": self.message,
                "type": TYPES.get(self.status, kind),
                "param": self.param,
                "code": self.code,
            }
        }

    def response(self) -> Response:
        """The answer."""
        return Json(self.body(), self.status, headers=self.headers)


def refused(param: str, message: str, code: str | None = None) -> ApiError:
    """That a field of the request is wrong."""
    return ApiError(400, f"{param}: {message}", param=param, code=code)


def as_api_error(error: BaseException) -> ApiError:
    """The response to an error; what must not leave the server is logged."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, UnknownModelError):
        return ApiError(404, str(error), param="model", code="model_not_found")
    if isinstance(error, RunError):
        return ApiError(503, str(error), param="model", code="model_unavailable")
    if isinstance(error, HornbookError):
        return ApiError(400, str(error))
    if isinstance(error, QueueFullError):
        return ApiError(
            429, "the server has as many requests as it can hold; try again later",
            code="queue_full", headers={"Retry-After": str(error.seconds)},
        )  # fmt: skip
    if isinstance(error, StoppedError):
        return ApiError(503, "the server is being stopped", code="stopping")
    if isinstance(error, HTTPException):
        headers = dict(error.headers) if error.headers else None
        return ApiError(error.status_code, str(error.detail), headers=headers)
    if isinstance(error, RequestValidationError):
        return invalid(error)
    if not isinstance(error, FailedError):
        logger.error("a request failed", exc_info=error)
    return ApiError(500, "the server failed to answer this request; its log says why")


def invalid(error: RequestValidationError | ValidationError) -> ApiError:
    """The first thing that is wrong with a request."""
    first = error.errors()[0]
    where = [str(x) for x in first["loc"] if x not in ("body", "query", "path")]
    # below a field pydantic names the types that it tried
    field = where[0] if where else None
    if first["type"] == "json_invalid":
        return ApiError(400, f"the body is no JSON: {first.get('ctx', {}).get('error', '')}")
    message = str(first["msg"]).removeprefix("Value error, ")
    return ApiError(400, f"{field}: {message}" if field else message, param=field)


async def handle(request: Request, error: Exception) -> Response:
    """Answers a request that raised an error."""
    return as_api_error(error).response()
