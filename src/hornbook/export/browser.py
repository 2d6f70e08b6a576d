"""A browser without a window, told what to do by the DevTools protocol over a pipe.

Nothing is installed for it: Chromium, Chrome or Edge where there is one, started with a profile of its
own in a temporary directory. https://chromedevtools.github.io/devtools-protocol/
"""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hornbook.errors import RunError

NAMES = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "msedge",
)
MAC = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"
OPTIONS = (
    "--headless",
    "--disable-gpu",
    "--no-first-run",
    "--remote-debugging-pipe",
    "--no-sandbox",
)
SECONDS = 120.0  # for an answer


def find_browser() -> str | None:
    """The program of a browser: HORNBOOK_BROWSER, else one of NAMES; None where there is none, and on
    Windows, where a program inherits no pipes by number."""
    if os.name != "posix":
        return None
    if own := os.environ.get("HORNBOOK_BROWSER"):
        return shutil.which(own)
    return next((path for name in (*NAMES, MAC) if (path := shutil.which(name))), None)


class BrowserError(RunError):
    """A browser that does not start, has ended or gives no answer."""


class Page:
    """A page in a browser."""

    def __init__(self, send: int, receive: int) -> None:
        self._send, self._receive = send, receive
        self._buffer = b""
        self._number = 0
        self._session = ""
        self.messages: list[
            dict[str, Any]
        ] = []  # events: errors of the page, requests that it makes

    def open(self, url: str) -> None:
        """Opens an address, in a tab of its own."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Runtime", "Log", "Network", "Page"):
            self.call(f"{domain}.enable")
        self.call("Page.navigate", url=url)

    def evaluate(self, expression: str) -> Any:
        """The value of an expression of JavaScript in the page; of a promise, what it resolves to.

        Raises RunError with the message of an error.
        """
        found = self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        if problem := found.get("exceptionDetails"):
            thrown = problem.get("exception") or {}
            text = thrown.get("description") or thrown.get("value") or problem.get("text")
            raise RunError(f"the browser: {text}")
        return found["result"].get("value")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Sends a command and waits for its answer. Raises BrowserError without one, RunError for an
        error."""
        self._number += 1
        command = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            command["sessionId"] = self._session
        data = json.dumps(command).encode() + b"\0"
        try:
            while data:
                data = data[os.write(self._send, data) :]
        except BrokenPipeError:
            raise BrowserError("the browser ended") from None
        ends = time.monotonic() + SECONDS
        while True:
            message = self._next(ends)
            if message.get("id") == self._number:
                if "error" in message:
                    raise RunError(f"the browser: {method}: {message['error']['message']}")
                result: dict[str, Any] = message["result"]
                return result
            self.messages.append(message)

    def _next(self, ends: float) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._receive], [], [], max(0.0, ends - time.monotonic()))
            piece = os.read(self._receive, 1 << 20) if ready else b""
            if not piece:
                why = "ended" if ready else f"gave no answer in {SECONDS:g} s"
                raise BrowserError(f"the browser {why}")
            self._buffer += piece
        message, _, self._buffer = self._buffer.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        return found


@contextmanager
def browser(program: str, options: Sequence[str] = ()) -> Iterator[Page]:
    """A page in a fresh browser, which ends with the block.

    A browser that does not start is a BrowserError of the first command.
    """
    to_browser, from_browser = os.pipe(), os.pipe()
    with tempfile.TemporaryDirectory(prefix="hornbook-", ignore_cleanup_errors=True) as folder:
        read, write = to_browser[0], from_browser[1]

        def pipes() -> None:  # it reads from 3 and writes to 4
            copies = os.dup(read), os.dup(write)
            os.dup2(copies[0], 3)
            os.dup2(copies[1], 4)

        root = ["--no-sandbox"] if os.geteuid() == 0 else []  # its sandbox refuses to run as root
        process = subprocess.Popen(
            [program, *OPTIONS, *root, f"--user-data-dir={folder}", *options],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            close_fds=False, preexec_fn=pipes, start_new_session=True, cwd=folder,
        )  # fmt: skip
        os.close(read)
        os.close(write)
        try:
            yield Page(to_browser[1], from_browser[0])
        finally:
            os.close(to_browser[1])
            os.close(from_browser[0])
            try:
                process.wait(5)  # it ends when its pipe does
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def file_url(path: Path) -> str:
    """The address of a file."""
    return path.absolute().as_uri()
