"""A text that is piped in is kept as a file, since it is read more than once."""

from __future__ import annotations

import gzip
import io
import sys
from pathlib import Path

import pytest

from hornbook.data.sources.standard_input import is_kept, keep_stdin
from hornbook.errors import DataError


class Piped:
    """A stand-in for sys.stdin."""

    def __init__(self, raw: bytes, *, terminal: bool = False) -> None:
        self.buffer, self._terminal = io.BytesIO(raw), terminal

    def isatty(self) -> bool:
        return self._terminal


def test_what_is_piped_in_is_read_once_and_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Piped(b"emma\nava\n"))
    path = keep_stdin()
    assert path.read_bytes() == b"emma\nava\n"
    assert keep_stdin() == path
    assert is_kept(path)
    assert not is_kept(Path("text.txt"))
    assert [p for p in path.parent.iterdir() if p.suffix == ".partial"] == []


def test_a_terminal_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Piped(b"", terminal=True))
    with pytest.raises(DataError, match=r"found a terminal, expected .*hornbook train - < FILE"):
        keep_stdin()


def test_compressed_data_is_refused_with_what_unpacks_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Piped(gzip.compress(b"emma\nava\n")))
    with pytest.raises(
        DataError, match=r"found compressed data, .*gzip -dc FILE \| hornbook data -"
    ):
        keep_stdin()
