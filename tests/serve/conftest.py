"""A server of two small runs, listening, for all tests of this folder."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from hornbook.api import Run
from hornbook.serve.limits import Limits

LIMITS = Limits(
    rows=16, queue=40, tokens=2000, prompt_tokens=600, body=100_000, header=8192, patience=1.0,
    seconds=20.0,
)  # fmt: skip
ENDLESS = {"0": -100}  # a bias against the end of a document


class Live:
    """A running server. `service` is its inside."""

    def __init__(self, runs: list[Run], limits: Limits = LIMITS, **access: Any) -> None:
        from hornbook.serve.app import create_app
        from hornbook.serve.guard import Access
        from hornbook.serve.server import bind, build_server
        from hornbook.serve.service import Service
        from hornbook.serve.shelf import Shelf

        self.service = Service(Shelf([run.path for run in runs]), limits)
        self.socket = bind("127.0.0.1", 0)
        self.port: int = self.socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.server = build_server(create_app(self.service, Access(**access)), limits)
        self.thread = threading.Thread(
            target=lambda: asyncio.run(self.server.serve(sockets=[self.socket])), daemon=True
        )
        self.thread.start()

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(timeout=30)
        self.socket.close()

    def raw(self, data: bytes, *, wait: float = 60.0) -> bytes:
        """What comes back for some bytes until the server closes the connection, or nothing more
        comes for a second after an answer."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=wait) as connection:
            connection.sendall(data)
            found = b""
            try:
                while piece := connection.recv(1 << 16):
                    found += piece
                    connection.settimeout(1.0)
            except (TimeoutError, ConnectionResetError):
                pass
            return found

    def request(
        self,
        method: str,
        path: str,
        body: bytes | dict[str, Any] = b"",
        headers: dict[str, str] | None = None,
    ) -> tuple[int, dict[str, str], bytes]:
        """One request with exactly these headers beside Host and Content-Length."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        fields = {"Host": f"127.0.0.1:{self.port}", "Content-Type": "application/json"}
        fields |= {"Content-Length": str(len(raw)), "Connection": "close", **(headers or {})}
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        answer = self.raw(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + raw)
        top, _, content = answer.partition(b"\r\n\r\n")
        first, *lines = top.decode().split("\r\n")
        found = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
        return int(first.split()[1]), found, content

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """The JSON of a good answer."""
        status, _, content = self.request("POST", path, body)
        assert status == 200, content
        return json.loads(content)

    def quiet(self, seconds: float = 20.0) -> bool:
        """Whether nothing is generated any more, after at most so long."""
        engine, end = self.service.engine, time.monotonic() + seconds
        while (engine.running or engine.queued) and time.monotonic() < end:
            time.sleep(0.01)
        return not (engine.running or engine.queued)


@pytest.fixture(scope="session")
def live(names_run: Run, stream_run: Run) -> Iterator[Live]:
    """Serves `names` (documents) and `run` (a stream)."""
    pytest.importorskip("fastapi", reason="needs the extra serve")
    pytest.importorskip("uvicorn", reason="needs the extra serve")
    server = Live([names_run, stream_run])
    yield server
    server.stop()
