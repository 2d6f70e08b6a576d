"""Errors have OpenAI's shape, and any text can be written."""

from __future__ import annotations

import json
import logging
import math

import pytest

from hornbook.errors import ConfigError, RunError

pytest.importorskip("fastapi", reason="needs the extra serve")


def test_json_is_ascii_and_has_no_nan() -> None:
    from hornbook.serve.errors import Json

    body = bytes(Json({"a": "é\ud800白", "b": [math.inf, math.nan, 1.5]}).body)
    assert body.isascii()
    assert json.loads(body)["b"] == [None, None, 1.5]


def test_each_error_has_its_status(caplog: pytest.LogCaptureFixture) -> None:
    from starlette.exceptions import HTTPException

    from hornbook.serve.engine import FailedError, QueueFullError, StoppedError
    from hornbook.serve.errors import as_api_error, refused
    from hornbook.serve.shelf import UnknownModelError

    cases = [
        (refused("n", "found 0"), 400), (UnknownModelError("x"), 404), (RunError("x"), 503),
        (ConfigError("x"), 400), (QueueFullError(3), 429), (StoppedError(), 503),
        (HTTPException(405), 405), (FailedError(), 500),
    ]  # fmt: skip
    for error, status in cases:
        assert as_api_error(error).status == status
    assert as_api_error(QueueFullError(3)).headers == {"Retry-After": "3"}
    assert not caplog.records
    with caplog.at_level(logging.ERROR):
        unexpected = as_api_error(ZeroDivisionError("secret"))
    assert unexpected.status == 500
    assert "secret" not in unexpected.message
    assert caplog.records
