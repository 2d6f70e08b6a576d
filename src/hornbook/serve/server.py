"""uvicorn, with bounds on the time and size of headers, and an orderly end on SIGTERM and Ctrl-C.

httptools and uvloop are used where they are installed: together they halve what a short request costs.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TYPE_CHECKING, Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from hornbook.errors import ConfigError
from hornbook.serve.limits import Limits

KEEP_ALIVE = 30  # seconds that an idle connection is kept
BACKLOG = 1024  # connections that wait to be accepted, from the moment the address is printed
GRACE = 10.0  # seconds beyond the time limit of a request in which the last ones may end


if TYPE_CHECKING:
    Protocol = H11Protocol
else:
    Protocol = asyncio.Protocol


class Patience(Protocol):
    """Closes connections whose next request is not there in time, once its first byte is."""

    patience = Limits().patience
    _waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client connected."""
        super().connection_made(transport)
        self._waiting = self.loop.call_later(self.patience, self.refuse, 408, "Request Timeout")

    def data_received(self, data: bytes) -> None:
        """Some bytes came: while the headers are not complete the clock goes on."""
        between_requests = self.cycle is None or self.cycle.response_complete
        if between_requests and self._waiting is None:
            self._waiting = self.loop.call_later(self.patience, self.refuse, 408, "Request Timeout")
        before = self.cycle
        super().data_received(data)
        if self.cycle is not before:  # the headers are complete
            self._stop_waiting()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client went away."""
        self._stop_waiting()
        super().connection_lost(exc)

    def refuse(self, status: int, phrase: str) -> None:
        """Answers without having read a request, and closes the connection."""
        self._stop_waiting()
        if not self.transport.is_closing():
            self.transport.write(
                f"HTTP/1.1 {status} {phrase}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n".encode()
            )
            self.transport.close()

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None


def protocol_of(limits: Limits) -> type[asyncio.Protocol]:
    """How connections are read: by httptools, or by h11 where that is missing."""
    try:
        from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
    except ImportError:

        class Slow(Patience, H11Protocol):
            patience = limits.patience

        return Slow

    class Fast(Patience, HttpToolsProtocol):  # type: ignore[misc]
        """httptools itself has no bound on bytes that are neither a complete header nor a body."""

        patience = limits.patience
        _since = 0  # bytes since there was something of either
        _found = False

        def data_received(self, data: bytes) -> None:
            self._found = False
            super().data_received(data)
            self._since = 0 if self._found else self._since + len(data)
            if self._since > limits.header:
                self.refuse(431, "Request Header Fields Too Large")

        def on_headers_complete(self) -> None:
            self._found = True
            super().on_headers_complete()

        def on_body(self, body: bytes) -> None:
            self._found = True
            super().on_body(body)

    return Fast


class Server(uvicorn.Server):
    """Ends after what runs when it is asked to, at once when it is asked again."""

    def __init__(self, config: uvicorn.Config, on_stop: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_stop = on_stop

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal: the first refuses new requests, a second one ends at once."""
        if self.should_exit:
            self.force_exit = True
        else:
            self.should_exit = True
            self._on_stop()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handles signals in the main thread; unlike uvicorn does not raise them again at the end."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        watched = (signal.SIGINT, signal.SIGTERM)
        before = [signal.signal(number, self.handle_exit) for number in watched]
        try:
            yield
        finally:
            for number, handler in zip(watched, before, strict=True):
                signal.signal(number, handler)


def run(server: Server, listening: socket.socket) -> None:
    """Serves until a signal."""
    try:
        from uvloop import new_event_loop
    except ImportError:
        new_event_loop = asyncio.new_event_loop
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(server.serve(sockets=[listening]))


def bind(host: str, port: int) -> socket.socket:
    """A socket that listens. Raises ConfigError where it cannot."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise ConfigError(
            f"host: {host!r} is no name or address of this machine ({error})"
        ) from None
    family, kind, protocol, _, address = found[0]
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen(BACKLOG)
    except OSError as error:
        bound.close()
        raise ConfigError(
            f"port: {host}:{port} cannot be used ({error.strerror}); give another one (--port), or 0 "
            "for any that is free"
        ) from None
    return bound


def build_server(
    app: ASGIApp, limits: Limits, on_stop: Callable[[], None] = lambda: None, **options: Any
) -> Server:
    """The server of an application, for `run`."""
    config = uvicorn.Config(
        app,
        http=protocol_of(limits),
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="on",
        h11_max_incomplete_event_size=limits.header,
        limit_concurrency=limits.connections,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=int(limits.seconds + GRACE),
        **options,
    )
    return Server(config, on_stop)
