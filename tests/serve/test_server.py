"""uvicorn's end: a socket that cannot be had; the rest in `test_guard.py` and `tests/cli`."""

from __future__ import annotations

import pytest

from hornbook.errors import ConfigError

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
