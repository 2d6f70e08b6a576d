from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

import pytest

import hornbook
from hornbook.export.bundle import bundle, page, web_file

WEB = Path(hornbook.__file__).parent / "web"


def modules(script: str) -> set[str]:
    """The modules that a script is joined from."""
    return set(re.findall(r"^// ([\w/]+\.js)$", script, re.M))


def test_every_module_is_in_the_script_after_what_it_imports() -> None:
    script = bundle("file.js")
    places = {name: script.index(f"// {name}\n") for name in modules(script)}
    every = {path.relative_to(WEB).as_posix() for path in WEB.rglob("*.js")}
    of_server = modules(bundle("server.js"))
    assert every == places.keys() | of_server
    assert not places.keys() & {"server.js", "remote.js", "client.js", "runs.js"}
    assert places["layers.js"] < places["models/gpt.js"] < places["engine.js"] < places["file.js"]
    assert re.search(r"^(import|export)\b", script, re.M) is None


def test_modules_are_small() -> None:
    for path in WEB.rglob("*"):
        if path.is_file():
            assert len(path.read_text("utf-8").splitlines()) <= 400, path


def test_the_policy_allows_the_own_script_and_style_and_no_network() -> None:
    html = page({"data": ("application/json", "{}"), "weights": ("text/plain", "AAAA")})
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)
    assert policy is not None
    assert policy[1].startswith("default-src 'none'; script-src 'sha256-")
    assert not {"http", "connect-src", "unsafe-inline", "'unsafe-eval'", "*"} & set(
        policy[1].split()
    )
    for pattern in (r'<script type="module">(.*?)</script>', r"<style>(.*?)</style>"):
        inside = re.search(pattern, html, re.S)
        assert inside is not None
        digest = base64.b64encode(hashlib.sha256(inside[1].encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy[1]
    assert re.findall(r'(?:src|href)="(?!data:)[^"]*"', html) == []


def test_data_that_could_end_its_block_is_refused() -> None:
    with pytest.raises(AssertionError):
        page({"data": ("application/json", "</script>")})


def test_files_of_the_page_are_read_from_the_package() -> None:
    assert web_file("models/gpt.js").startswith("//")
