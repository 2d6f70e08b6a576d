"""`hornbook serve` as a process: its address, its end, what it refuses."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path

import pytest

from hornbook.api import Run
from tests.cli.common import Cap, run


def test_it_serves_until_it_is_terminated(names_run: Run) -> None:
    """SIGTERM: what runs is finished, what comes is refused, exit code 0."""
    pytest.importorskip("fastapi", reason="needs the extra serve")
    process = subprocess.Popen(
        [sys.executable, "-m", "hornbook", "serve", str(names_run.path), "--port", "0",
         "--seconds", "600"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.fullmatch(r"serving names at (http://127\.0\.0\.1:\d+)/v1\n", line)
        assert found, line
        url = found[1]

        def post(body: dict[str, object]) -> urllib.request.Request:
            data, kind = json.dumps(body).encode(), {"Content-Type": "application/json"}
            return urllib.request.Request(f"{url}/v1/completions", data, kind)

        long = {"prompt": "a", "max_tokens": 1000, "stream": True, "logit_bias": {"0": -100}}
        with urllib.request.urlopen(post(long), timeout=600) as answer:
            first = answer.readline()
            process.send_signal(signal.SIGTERM)
            rest = answer.read()
        assert first.startswith(b"data: ")
        assert rest.endswith(b"data: [DONE]\n\n")
        assert rest.count(b"data: ") == 1000  # with the end, without the first
        assert process.wait(timeout=600) == 0
        with pytest.raises(OSError, match="refused"):
            urllib.request.urlopen(post(long), timeout=5)
    finally:
        process.kill()
        _, errors = process.communicate()
    assert "Traceback" not in errors
    assert "served 1 generation request" in errors
    assert threading.active_count() < 50


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--host", "0.0.0.0"], "api-key: found none, expected one with --host 0.0.0.0"),
        (["--port", "70000"], "port: found 70000"),
        (["--api-key", "a b"], "api-key: expected ASCII characters"),
        (["--api-key", ""], "api-key: expected ASCII characters without spaces, at least one"),
        (["--allow-host", "http://box"], "allow-host: found 'http://box', expected a name"),
        (["--allow-host", "box:8000"], "allow-host: found 'box:8000', expected a name"),
        (["--allow-origin", "box"], "allow-origin: found 'box', expected an origin"),
        (
            ["--allow-origin", "http://box/"],
            "allow-origin: found 'http://box/', expected an origin",
        ),
        (["--allow-origin", "http://Box"], "allow-origin: found 'http://Box', expected an origin"),
        (["--rows", "0"], "rows: found 0, expected at least 1"),
        (["--seconds", "nan"], "seconds: found nan"),
        (["--threads", "0"], "threads: found 0"),
        (["--prot", "1"], "did you mean '--port'"),
    ],
)
def test_wrong_options(names_run: Run, capsys: Cap, options: list[str], message: str) -> None:
    code, _, errors = run(capsys, "serve", names_run.path, *options)
    assert code == 2
    assert message in errors


def test_no_run(tmp_path: Path, capsys: Cap) -> None:
    pytest.importorskip("fastapi", reason="needs the extra serve")
    code, _, errors = run(capsys, "serve", tmp_path / "none")
    assert code == 1
    assert "expected a run directory" in errors


def test_without_the_extra(names_run: Run, capsys: Cap, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    code, _, errors = run(capsys, "serve", names_run.path)
    assert code == 2
    assert "pip install 'hornbook[serve]'" in errors
    assert "Traceback" not in errors
