"""Documents or a stream: as requested, by the files, or by the beginning of the text."""

from __future__ import annotations

from pathlib import Path

import pytest

from hornbook.data.sources.files import TextFile
from hornbook.data.sources.source import Source
from hornbook.data.units import RECORD, decide_units
from hornbook.errors import ConfigError

NAMES = "\n".join(f"name{i}" for i in range(40))
PGN = '[Event "a"]\n\n1. e4 e5\n'


def source(tmp_path: Path, n: int = 1, size: int = 20, format_: str = "text") -> Source:
    paths = [tmp_path / f"{i}.txt" for i in range(n)]
    for path in paths:
        path.write_text("a" * size)
    files = tuple(map(TextFile, paths))
    return Source(tmp_path, files, format_, described=f"{n} files" if n > 1 else "")


@pytest.mark.parametrize(
    ("kind", "separator", "text", "found"),
    [
        ("auto", "auto", NAMES, ("documents", "line")),
        ("auto", "auto", "a\n\nb\n", ("stream", "")),
        ("auto", "auto", PGN, ("documents", "pgn")),
        ("documents", "auto", PGN, ("documents", "line")),
        ("stream", "auto", PGN, ("stream", "")),
        ("auto", "blank", NAMES, ("documents", "blank")),
        ("auto", "line", "a\n\nb\n", ("documents", "line")),
        ("documents", "%", NAMES, ("documents", "%")),
    ],
)
def test_one_file(
    tmp_path: Path, kind: str, separator: str, text: str, found: tuple[str, str]
) -> None:
    units = decide_units(source(tmp_path), kind, separator, text, whole=True)
    assert (units.kind, units.separator) == found


@pytest.mark.parametrize(
    ("n", "size", "kind", "found"),
    [
        (40, 20, "auto", "file"),
        (40, 9000, "auto", ""),
        (3, 20, "auto", ""),
        (3, 20, "documents", "file"),
        (40, 20, "stream", ""),
    ],
)
def test_each_of_many_short_files_is_a_document(
    tmp_path: Path, n: int, size: int, kind: str, found: str
) -> None:
    units = decide_units(source(tmp_path, n, size), kind, "auto", "a\n\nb\n", whole=True)
    assert units.separator == found
    assert units.why.startswith(f"{n} files; ")


def test_records_are_documents_and_contradictions_are_refused(tmp_path: Path) -> None:
    records = source(tmp_path, format_="jsonl")
    assert decide_units(records, "auto", "auto", "", whole=True).separator == RECORD
    assert decide_units(records, "stream", "auto", "", whole=True).kind == "stream"
    with pytest.raises(ConfigError, match=r"each record of .* is a document"):
        decide_units(records, "auto", "blank", "", whole=True)
    with pytest.raises(ConfigError, match=r"'blank' beside the kind stream"):
        decide_units(source(tmp_path), "stream", "blank", "", whole=True)
