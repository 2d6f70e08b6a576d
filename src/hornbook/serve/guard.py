"""Who may ask, and how much: Host, Origin, API key, sizes and times, and headers of each answer.

A server on loopback can be reached by any web page that its user opens. A browser says so: requests of
a page carry its `Origin`, and one that has rebound its own name to 127.0.0.1 carries that name as
`Host`. Both are refused.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hornbook.serve.errors import ApiError, as_api_error
from hornbook.serve.limits import Limits

LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")
POLICY = (
    "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "object-src 'none'"
)
HEADERS = {  # of every answer
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
RAW_HEADERS = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
METHODS = "GET, POST, OPTIONS"
FORBIDDEN_SITES = ("cross-site", "same-site")  # Sec-Fetch-Site of another origin's request


@dataclass(frozen=True, kw_only=True)
class Access:
    """Who may use the server.

    key: required of each request of the API; None: of none. hosts: names in `Host` beside those of
    this machine. any_address: also any IP address, of a server that is reached from other machines.
    origins: of web pages that may read answers; "*" for all.
    """

    key: str | None = None
    hosts: Collection[str] = ()
    any_address: bool = False
    origins: Collection[str] = ()


class Guard:
    """ASGI middleware, around everything else."""

    def __init__(
        self, app: ASGIApp, access: Access, limits: Limits, public: Collection[str] = ("/health",)
    ) -> None:
        self.app, self.access, self.limits, self.public = app, access, limits, public

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request, or refuses it."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":  # a WebSocket
            await send({"type": "websocket.close", "code": 1008})
            return
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        try:
            foreign = self._check(scope, headers)
        except ApiError as error:
            await _Answer(send, None)(*_start(error))
            return
        sender = _Answer(send, origin if foreign else None)
        if foreign and scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
            await sender(*_start(None))
            return
        body = _Body(receive, self.limits)
        try:
            body.check(headers)
            await self.app(scope, body.receive, sender.send)
        except ApiError as error:
            if not sender.began:
                await sender(*_start(error))
        except Exception as error:  # which the application has answered and raised again
            if not sender.began:
                await sender(*_start(as_api_error(error)))

    def _check(self, scope: Scope, headers: Headers) -> bool:
        """Whether the request is of an allowed web page of another origin. Raises ApiError."""
        size = sum(len(name) + len(value) for name, value in headers.raw)
        if size + len(scope.get("raw_path", b"")) + len(scope["query_string"]) > self.limits.header:
            raise ApiError(431, f"the headers are larger than {self.limits.header:,} bytes")
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._is_own_host(hosts[0]):
            found = repr(hosts[0]) if len(hosts) == 1 else f"{len(hosts)} of them"
            raise ApiError(
                421 if len(hosts) == 1 else 400,
                f"Host: found {found}, expected the name of this machine; a further name is "
                "allowed by --allow-host NAME",
            )
        origins = headers.getlist("origin")
        foreign = False
        if origins:
            same = len(origins) == 1 and origins[0].lower() == _origin(scope, hosts[0])
            foreign = len(origins) == 1 and not same and self._allows(origins[0])
            if not same and not foreign:
                raise ApiError(
                    403,
                    f"Origin: found {origins[0][:100]!r}, the page of another origin; it is allowed "
                    "by --allow-origin ORIGIN",
                )
        elif headers.get("sec-fetch-site") in FORBIDDEN_SITES and not _is_navigation(
            scope, headers
        ):
            raise ApiError(403, "Sec-Fetch-Site: found a request of another site's page")
        preflight = foreign and scope["method"] == "OPTIONS"
        if self.access.key is not None and not preflight and scope["path"] not in self.public:
            self._check_key(headers)
        return foreign

    def _is_own_host(self, host: str) -> bool:
        name = _host_name(host)
        if name is None:
            return False
        if name in LOCAL_NAMES or name in self.access.hosts:
            return True
        return self.access.any_address and _is_address(name)

    def _allows(self, origin: str) -> bool:
        return origin in self.access.origins or "*" in self.access.origins

    def _check_key(self, headers: Headers) -> None:
        kind, _, key = headers.get("authorization", "").partition(" ")
        expected = self.access.key or ""
        if kind.lower() != "bearer" or not hmac.compare_digest(
            key.strip().encode(), expected.encode()
        ):
            raise ApiError(
                401, "Authorization: expected 'Bearer KEY' with the server's key",
                code="invalid_api_key", headers={"WWW-Authenticate": "Bearer"},
            )  # fmt: skip


def _host_name(host: str) -> str | None:
    """The name in a Host header, in lower case; None where it is malformed.

    >>> _host_name("LocalHost:8000"), _host_name("[::1]:80"), _host_name("a@localhost")
    ('localhost', '::1', None)
    """
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port
    except ValueError:
        return None
    if parts.username is not None or parts.path or parts.query or parts.fragment:
        return None
    if any(c.isspace() or c in "\\%" for c in host) or not host:
        return None
    return parts.hostname


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _origin(scope: Scope, host: str) -> str:
    """The origin of a page of this server, as a browser writes it."""
    return f"{scope.get('scheme', 'http')}://{host.lower()}"


def _is_navigation(scope: Scope, headers: Headers) -> bool:
    """Whether a user follows a link to the page."""
    return scope["method"] == "GET" and headers.get("sec-fetch-mode") == "navigate"


class _Body:
    """The body of a request, of bounded size and time."""

    def __init__(self, receive: Receive, limits: Limits) -> None:
        self._receive, self._limits = receive, limits
        self._size, self._complete = 0, False
        self._deadline = asyncio.get_running_loop().time() + limits.patience

    def check(self, headers: Headers) -> None:
        """Raises ApiError for a length that is declared and too large."""
        declared = headers.get("content-length", "0")
        if (
            not declared.isascii()
            or not declared.isdigit()
            or int(declared[:20]) > self._limits.body
        ):
            raise self._too_large()

    async def receive(self) -> Message:
        """The next message. Raises ApiError for a body that is too large or too slow."""
        if self._complete:
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError:
            raise ApiError(
                408, f"the body did not arrive within {self._limits.patience:g} seconds"
            ) from None
        if message["type"] == "http.request":
            self._size += len(message.get("body", b""))
            self._complete = not message.get("more_body", False)
            if self._size > self._limits.body:
                raise self._too_large()
        return message

    def _too_large(self) -> ApiError:
        return ApiError(413, f"the body is larger than {self._limits.body:,} bytes")


class _Answer:
    """Sends answers with the headers that all of them have. origin: of a page that may read it."""

    def __init__(self, send: Send, origin: str | None) -> None:
        self._send, self._origin, self.began = send, origin, False

    async def send(self, message: Message) -> None:
        """Sends a message."""
        if message["type"] == "http.response.start":
            self.began = True
            raw = [*message.get("headers", []), *RAW_HEADERS]
            if not any(name == b"cache-control" for name, _ in raw):
                raw.append((b"cache-control", b"no-store"))
            message = {**message, "headers": raw}
            if self._origin is not None:
                headers = MutableHeaders(raw=raw)
                headers["Access-Control-Allow-Origin"] = self._origin
                headers["Access-Control-Allow-Methods"] = METHODS
                headers["Access-Control-Allow-Headers"] = "authorization, content-type"
                headers["Cross-Origin-Resource-Policy"] = "cross-origin"
                headers["Vary"] = "Origin"
        await self._send(message)

    async def __call__(self, *messages: Message) -> None:
        """Sends messages."""
        for message in messages:
            await self.send(message)


def _start(error: ApiError | None) -> tuple[Message, Message]:
    """A whole answer: an error, or nothing. The connection is closed, as a body may still be coming."""
    if error is None:
        return (
            {"type": "http.response.start", "status": 204, "headers": []},
            {"type": "http.response.body", "body": b""},
        )
    response = error.response()
    headers = [*response.raw_headers, (b"connection", b"close")]
    return (
        {"type": "http.response.start", "status": response.status_code, "headers": headers},
        {"type": "http.response.body", "body": bytes(response.body)},
    )
