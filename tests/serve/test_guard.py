"""Hostile requests, each refused."""

from __future__ import annotations

import json
import time

import pytest

from hornbook.api import Run
from tests.serve.conftest import LIMITS, Live

pytest.importorskip("fastapi", reason="needs the extra serve")

BODY = {"model": "names", "prompt": "a", "max_tokens": 3}
FOREIGN_HOSTS = (
    "evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.evil.example", "", "[::1",
    "a@localhost", "localhost/x", "10.0.0.1", "0.0.0.0", "localhost:port",
)  # fmt: skip


@pytest.mark.parametrize("host", FOREIGN_HOSTS)
def test_another_host_is_refused(live: Live, host: str) -> None:
    status, headers, content = live.request("GET", "/v1/models", headers={"Host": host})
    assert status in (400, 421)
    if headers["content-type"] == "application/json":
        assert "Host" in json.loads(content)["error"]["message"]


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1", "[::1]:8000"])
def test_names_of_this_machine_are_accepted(live: Live, host: str) -> None:
    assert live.request("GET", "/v1/models", headers={"Host": host})[0] == 200


def test_two_hosts_are_refused(live: Live) -> None:
    answer = live.raw(b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n")
    assert answer.split()[1] == b"400"


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "http://localhost:1",
        "http://127.0.0.1",
        "file://",
        "http://[",
    ],
)
def test_a_page_of_another_origin_is_refused(live: Live, origin: str) -> None:
    headers = {"Origin": origin}
    for method, path in (("POST", "/v1/completions"), ("GET", "/health"), ("GET", "/v1/models")):
        status, answer, _ = live.request(method, path, BODY, headers)
        assert status == 403
        assert "access-control-allow-origin" not in answer
    preflight = {**headers, "Access-Control-Request-Method": "POST"}
    assert live.request("OPTIONS", "/v1/completions", headers=preflight)[0] == 403
    own = {"Origin": live.url}
    assert live.request("POST", "/v1/completions", BODY, own)[0] == 200


def test_a_request_of_another_site_without_an_origin_is_refused(live: Live) -> None:
    site = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
    assert live.request("GET", "/hornbook/runs", headers=site)[0] == 403
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert live.request("GET", "/health", headers=link)[0] == 200


def test_an_origin_that_is_allowed(names_run: Run) -> None:
    server = Live([names_run], origins=["http://localhost:3000"])
    try:
        origin = {"Origin": "http://localhost:3000"}
        preflight = {**origin, "Access-Control-Request-Method": "POST"}
        status, headers, _ = server.request("OPTIONS", "/v1/completions", headers=preflight)
        assert status == 204
        assert headers["access-control-allow-origin"] == "http://localhost:3000"
        status, headers, _ = server.request("POST", "/v1/completions", BODY, origin)
        assert status == 200
        assert headers["access-control-allow-origin"] == "http://localhost:3000"
        other = {"Origin": "http://localhost:3001"}
        assert server.request("POST", "/v1/completions", BODY, other)[0] == 403
    finally:
        server.stop()


def test_a_key(names_run: Run) -> None:
    server = Live([names_run], key="a-secret", any_address=True, hosts=["box"])
    try:
        for header in (
            "",
            "Bearer",
            "Bearer wrong",
            "Basic a-secret",
            "Bearer a-secret x",
            "Bearer é",
        ):
            status, headers, content = server.request(
                "POST", "/v1/completions", BODY, {"Authorization": header}
            )
            assert status == 401
            assert headers["www-authenticate"] == "Bearer"
            assert json.loads(content)["error"]["code"] == "invalid_api_key"
        good = {"Authorization": "Bearer a-secret", "Host": "10.1.2.3:8000"}
        assert server.request("POST", "/v1/completions", BODY, good)[0] == 200
        assert server.request("GET", "/health", headers={"Host": "box"})[0] == 200
        assert server.request("GET", "/metrics")[0] == 401
        good["Host"] = "evil.example"
        assert server.request("POST", "/v1/completions", BODY, good)[0] == 421
    finally:
        server.stop()


HOSTILE_BODIES = {
    "no JSON": b"{",
    "nothing": b"",
    "broken UTF-8": b'{"model":"names","prompt":"\xff\xfe"}',
    "half a surrogate": b'{"model":"names","prompt":"\\ud800"}',
    "half a surrogate as a name": b'{"model":"\\udfff"}',
    "deep": b"[" * 40_000,
    "deep in a field": b'{"model":"names","prompt":' + b"[" * 20_000 + b"]" * 20_000 + b"}",
    "a long number": b'{"model":"names","prompt":"a","seed":' + b"9" * 20_000 + b"}",
    "a long id": b'{"model":"names","prompt":[' + b"9" * 5_000 + b"]}",
    "NaN": b'{"model":"names","prompt":"a","temperature":NaN}',
    "infinity": b'{"model":"names","prompt":"a","temperature":1e999}',
    "a list": b"[]",
    "null": b"null",
    "a text": b'"a"',
    "mixed ids": b'{"model":"names","prompt":[1,"a"]}',
    "bools as ids": b'{"model":"names","prompt":[true,false]}',
    "negative ids": b'{"model":"names","prompt":[-1]}',
    "lists of lists of lists": b'{"model":"names","prompt":[[[1]]]}',
    "bias by text": b'{"model":"names","prompt":"a","logit_bias":{"a":1}}',
    "bias in other digits": '{"model":"names","prompt":"a","logit_bias":{"٣":1}}'.encode(),
    "a NUL": b'{"model":"names\\u0000","prompt":"a"}',
    "a path": b'{"model":"../../etc/passwd","prompt":"a"}',
    "a path of a run": b'{"model":"./names","prompt":"a"}',
    "many choices": b'{"model":"names","prompt":"a","n":100000}',
    "many stops": json.dumps({"model": "names", "prompt": "a", "stop": ["x"] * 1000}).encode(),
    "a long prompt": json.dumps({"model": "names", "prompt": "a" * 5000}).encode(),
    "many prompts": json.dumps({"model": "names", "prompt": ["a"] * 5000}).encode(),
}


@pytest.mark.parametrize("name", HOSTILE_BODIES)
@pytest.mark.parametrize("path", ["/v1/completions", "/v1/chat/completions", "/v1/score"])
def test_hostile_bodies(live: Live, path: str, name: str) -> None:
    status, headers, content = live.request("POST", path, HOSTILE_BODIES[name])
    assert status in (400, 404)
    assert headers["content-type"] == "application/json"
    assert set(json.loads(content)["error"]) == {"message", "type", "param", "code"}


@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded"])
def test_a_body_of_another_type(live: Live, kind: str) -> None:
    body = {"model": "names", "prompt": "a"}
    status, _, content = live.request("POST", "/v1/completions", body, {"Content-Type": kind})
    assert status == 400
    assert "expected 'application/json'" in json.loads(content)["error"]["message"]


def test_large_bodies_are_refused_before_they_are_read(live: Live) -> None:
    start = time.monotonic()
    head = b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    answer = live.raw(head + b"Content-Length: 99999999999\r\n\r\n{")
    assert answer.split()[1] == b"413"
    chunk = b"%x\r\n%s\r\n" % (1000, b" " * 1000)
    answer = live.raw(head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 150)
    assert answer.split()[1] == b"413"
    assert time.monotonic() - start < 30
    assert live.request("GET", "/health")[0] == 200


def test_a_slow_body_is_given_up(live: Live) -> None:
    head = b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    answer = live.raw(head + b"Content-Length: 100\r\n\r\n{")
    assert answer.split()[1] == b"408"


def test_slow_headers_are_given_up(live: Live) -> None:
    assert live.raw(b"GET /health HTTP/1.1\r\nHost: loc").split()[1] == b"408"
    assert live.raw(b"").split()[1] == b"408"
    first = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    answer = live.raw(first + b"GET /heal")  # of a connection that is kept
    assert answer.count(b"HTTP/1.1 200") == 1
    assert LIMITS.patience == 1.0


@pytest.mark.parametrize(
    "data",
    [
        b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 20_000 + b"\r\n\r\n",
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /health\r\n\r\n",
        b"GET /health HTTP/1.1\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/score HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: localhost\r\nX\x00Y: 1\r\n\r\n",
        b"GET http://evil.example/health HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    ],
)
def test_malformed_requests(live: Live, data: bytes) -> None:
    answer = live.raw(data)
    assert answer.split()[1] in (b"400", b"404", b"408", b"421", b"431")
    assert live.request("GET", "/health")[0] == 200


def test_headers_without_an_end_are_cut_off(live: Live) -> None:
    endless = b"".join(b"X%d: %s\r\n" % (i, b"a" * 1000) for i in range(400))
    for data in (
        b"GET /health HTTP/1.1\r\nHost: localhost\r\n" + endless,
        b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 400_000,
        b"GET /" + b"a" * 400_000,
        b"POST /v1/score HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n0\r\n" + endless,  # after the body
    ):
        answer = live.raw(data)
        assert not answer or answer.split()[1] in (b"400", b"408", b"431")
    assert live.request("GET", "/health")[0] == 200


@pytest.mark.parametrize(
    "path",
    [
        "/../../etc/passwd", "/..%2f..%2fetc%2fpasswd", "/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd",
        "/index.html%00.png", "/web/../app.py", "/hornbook/runs/../../etc/log",
        "/hornbook/runs/%2e%2e%2fnames/log", "/hornbook/runs//names/log", "/hornbook/runs/names%00/log",
        "/hornbook/runs/names/../names/log", "/v1/models/..%2fnames", "/docs", "/redoc", "/%ff%fe",
    ],
)  # fmt: skip
def test_paths_out_of_the_server(live: Live, path: str) -> None:
    status, headers, content = live.request("GET", path)
    assert status == 404
    assert headers["content-type"] == "application/json"
    assert b"root:" not in content


def test_every_answer_has_the_headers(live: Live) -> None:
    for method, path in (("GET", "/health"), ("GET", "/nothing"), ("POST", "/v1/score")):
        _, headers, _ = live.request(method, path)
        assert headers["content-security-policy"].startswith("default-src 'self';")
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-store"
        assert "server" not in headers


def test_other_methods_and_a_websocket(live: Live) -> None:
    for method in ("GET", "PUT", "DELETE", "PATCH", "TRACE"):
        assert live.request(method, "/v1/completions")[0] == 405
    upgrade = {
        "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }  # fmt: skip
    assert live.request("GET", "/v1/completions", headers=upgrade)[0] == 405
