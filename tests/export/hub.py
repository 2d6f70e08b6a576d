"""A stand-in of Hugging Face's hub: as much of its HTTP API as an upload uses, in memory."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "hf_" + "x" * 34


class Hub(ThreadingHTTPServer):
    """files: what was committed, by repository and path. made: the bodies that made repositories."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, dict[str, bytes]] = {}
        self.made: list[dict[str, Any]] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Hub

    def log_message(self, *_: object) -> None:
        pass

    def answer(self, status: int, body: Any) -> None:
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def do_GET(self) -> None:
        self.answer(404, {"error": "nothing there"})

    do_HEAD = do_GET  # noqa: N815

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = self.path.split("?")[0]
        if path == "/api/validate-yaml":
            self.answer(200, {"errors": [], "warnings": []})
        elif self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self.answer(401, {"error": "Invalid username or password."})
        elif path == "/api/repos/create":
            body = json.loads(raw)
            name = f"{body['organization']}/{body['name']}"
            url = f"{self.server.address}/{name}"
            status = 409 if name in self.server.files else 200
            self.server.files.setdefault(name, {})
            self.server.made.append(body)
            self.answer(status, {"url": url, "name": name})
        elif path.startswith("/api/models/") and "/preupload/" in path:
            files = json.loads(raw)["files"]
            modes = [
                {"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in files
            ]
            self.answer(200, {"files": modes})
        elif path.startswith("/api/models/") and "/commit/" in path:
            name = path.removeprefix("/api/models/").split("/commit/")[0]
            for line in raw.splitlines():
                entry = json.loads(line)
                if entry["key"] == "file":
                    value = entry["value"]
                    self.server.files[name][value["path"]] = base64.b64decode(value["content"])
            url = f"{self.server.address}/{name}/commit/{'0' * 40}"
            self.answer(200, {"commitUrl": url, "commitOid": "0" * 40, "success": True})
        else:
            self.answer(404, {"error": path})


@contextmanager
def hub() -> Iterator[Hub]:
    """A hub that runs."""
    server = Hub()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
