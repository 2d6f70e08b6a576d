from __future__ import annotations

import sys
from pathlib import Path

import pytest

from hornbook.errors import RunError
from hornbook.export.browser import BrowserError, browser, file_url, find_browser


@pytest.fixture
def program() -> str:
    found = find_browser()
    if found is None:
        pytest.skip("needs a browser (apt install chromium)")
    return found


def test_expressions_are_evaluated_in_the_page(program: str, tmp_path: Path) -> None:
    path = tmp_path / "a page.html"
    path.write_text("<!doctype html><title>é</title>")
    with browser(program) as page:
        page.open(file_url(path))
        title = """new Promise((resolve) => {
          const look = () => (document.title ? resolve(document.title) : setTimeout(look, 20));
          look();
        })"""
        assert page.evaluate(title) == "é"
        assert page.evaluate("Promise.resolve([1, {a: '\U0001f600'}])") == [1, {"a": "\U0001f600"}]
        with pytest.raises(RunError, match="lost"):
            page.evaluate("(() => { throw new Error('lost') })()")


def test_a_program_that_is_no_browser_is_an_error_and_no_wait() -> None:
    with browser(sys.executable) as page, pytest.raises(BrowserError, match="the browser ended"):
        page.open("about:blank")


def test_a_browser_can_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HORNBOOK_BROWSER", "no-such-browser")
    assert find_browser() is None
    monkeypatch.setenv("HORNBOOK_BROWSER", sys.executable)
    assert find_browser() == sys.executable
