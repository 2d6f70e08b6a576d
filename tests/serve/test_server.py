"""uvicorn's end: a socket that cannot be had; the rest in `test_guard.py` and `tests/cli`."""

from __future__ import annotations

import sys

import pytest

from hornbook.api import Run
from hornbook.errors import ConfigError
from tests.serve.conftest import Live

pytest.importorskip("uvicorn", reason="needs the extra serve")


def test_a_port_that_is_taken_and_a_host_that_is_none() -> None:
    from hornbook.serve.server import bind

    taken = bind("127.0.0.1", 0)
    with taken, pytest.raises(ConfigError, match=r"port: 127\.0\.0\.1:\d+ cannot be used"):
        bind("127.0.0.1", taken.getsockname()[1])
    with pytest.raises(ConfigError, match="no name or address of this machine"):
        bind("no such host", 0)
    with pytest.raises(ConfigError):
        bind("192.0.2.1", 0)


def test_without_httptools(names_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn.protocols.http.httptools_impl", None)
    live = Live([names_run])
    try:
        body = {"prompt": "a", "seed": 1}
        (choice,) = live.post("/v1/completions", body)["choices"]
        assert "a" + choice["text"] == names_run.sample(1, prompt="a", seed=1)[0].text
        assert live.raw(b"GET /health HTTP/1.1\r\nHost: loc").split()[1] == b"408"
        long = b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 20_000
        assert live.raw(long).split()[1] in (b"400", b"431")
    finally:
        live.stop()
