"""The page's files, and the schema."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hornbook.api import Run
from tests.serve.conftest import Live

pytest.importorskip("fastapi", reason="needs the extra serve")


def test_files_of_the_page_are_read_once_and_served(
    names_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hornbook.serve import app

    monkeypatch.setattr(app, "files", lambda package: tmp_path)
    (tmp_path / "web" / "js").mkdir(parents=True)
    (tmp_path / "web" / "index.html").write_text("<p>page</p>")
    (tmp_path / "web" / "js" / "a.js").write_text("1")
    (tmp_path / "web" / "notes.txt").write_text("not served")
    server = Live([names_run], key="k")
    try:
        for path, kind in (
            ("/", "text/html"),
            ("/index.html", "text/html"),
            ("/js/a.js", "text/javascript"),
        ):
            status, headers, _ = server.request("GET", path)
            assert status == 200
            assert headers["content-type"].startswith(kind)
            assert headers["content-security-policy"].startswith("default-src 'self'")
        (tmp_path / "web" / "index.html").unlink()
        assert server.request("GET", "/")[2] == b"<p>page</p>"
        key = {"Authorization": "Bearer k"}
        for path in ("/notes.txt", "/js/", "/js/../index.html", "/web/index.html"):
            assert server.request("GET", path, headers=key)[0] == 404
    finally:
        server.stop()


def test_the_schema_describes_the_endpoints(live: Live) -> None:
    status, _, content = live.request("GET", "/openapi.json")
    assert status == 200
    paths = json.loads(content)["paths"]
    assert {"/v1/completions", "/v1/chat/completions", "/v1/score", "/hornbook/runs"} <= set(paths)
