"""The text of a run: read as it was, found where it was moved to, and other texts read alike."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from hornbook.config import DataConfig
from hornbook.data.corpora import load_corpus
from hornbook.errors import DataError
from hornbook.planning.describe import reading_facts
from hornbook.runs.text import MissingTextError, TrainedText

LINES = [f"name {i}" for i in range(40)]


def trained(path: Path, run: Path, *files: Path, **fields: str) -> TrainedText:
    """What a run would know of a text."""
    names = tuple(map(str, files))
    config = DataConfig.parse({"corpus": str(path), "files": names, **fields}, "data")
    corpus = load_corpus(config)
    facts: dict[str, Any] = {
        "kind": corpus.kind, "why": corpus.why_kind, "sha256": corpus.sha256,
        "bytes": corpus.n_bytes, "reading": 2, "read": reading_facts(corpus),
        "relative": f"../{path.name}",
    }  # fmt: skip
    return TrainedText(facts, config, run)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HORNBOOK_DATA", raising=False)
    (tmp_path / "a/run").mkdir(parents=True)
    return tmp_path / "a"


def moved(text: TrainedText, here: Path) -> TrainedText:
    """The same after its folder was renamed, run and text together."""
    target = here.with_name("b")
    shutil.move(here, target)
    return TrainedText(text.facts, text.config, target / "run")


def test_records_are_found_by_their_name(here: Path) -> None:
    path = here / "a.jsonl"
    path.write_text("\n".join(json.dumps({"t": {"x": line}, "u": "v"}) for line in LINES))
    text = trained(path, here / "run", field="t.x")
    assert text.how == {"format": "jsonl", "field": "t.x", "header": "auto"}
    assert text.document_end == "\0"
    assert text.read().documents == tuple(LINES)
    text = moved(text, here)
    assert text.read().documents == tuple(LINES)
    assert "found at" in text.read().notes[-1]
    (here.with_name("b") / "a.jsonl").unlink()
    with pytest.raises(MissingTextError, match=r"under the same name"):
        text.read()


def test_several_files_and_folders_are_found_together(here: Path) -> None:
    for name, lines in (("a.txt", LINES[:20]), ("sub/b.txt", LINES[20:])):
        (here / name).parent.mkdir(exist_ok=True)
        (here / name).write_text("\n".join(lines))
    text = trained(here / "a.txt", here / "run", here / "sub/b.txt", separator="line")
    assert text.read().documents == tuple(LINES)
    text = moved(text, here)
    assert text.read().documents == tuple(LINES)
    (here.with_name("b") / "sub/b.txt").write_text("other\n" * 20)
    with pytest.raises(MissingTextError):
        text.read()


def test_a_packed_text_is_found_packed_or_plain(here: Path) -> None:
    path = here / "a.txt.gz"
    path.write_bytes(gzip.compress("\n".join(LINES).encode()))
    text = moved(trained(path, here / "run"), here)
    assert text.read().documents == tuple(LINES)
    (here.with_name("b") / "a.txt.gz").unlink()
    (here.with_name("b") / "any name").write_text("\n".join(LINES))
    assert text.read().documents == tuple(LINES)


def test_a_text_of_an_earlier_version_is_read_as_lines(here: Path) -> None:
    path = here / "a.csv"
    path.write_text("\n".join(LINES))  # then any file was text
    text = trained(path, here / "run", format="text")
    facts = {k: v for k, v in text.facts.items() if k != "read"}
    old = TrainedText(facts, DataConfig(corpus=str(path)), here / "run")
    assert (old.how, old.document_end) == ({}, "\n")
    assert old.read().documents == tuple(LINES)


def test_other_texts_are_read_as_the_own_one_where_they_can_be(here: Path) -> None:
    path = here / "a.txt"
    path.write_text("\n\n".join(f"{line}\n1" for line in LINES))
    text = trained(path, here / "run", separator="blank")
    assert text.how == {"separator": "blank"}
    other = here / "b.txt"
    other.write_text("x\ny\n\nz\n")
    assert text.other(other, None, {}).documents == ("x\ny", "z")
    assert text.other(other, None, {"separator": "line"}).documents == ("x", "y", "z")
    (here / "c.jsonl").write_text('{"text": "x"}\n{"text": "y"}')
    assert text.other(here / "c.jsonl", None, {}).documents == ("x", "y")
    with pytest.raises(DataError, match=r"gone\.txt: no such file"):
        text.other(here / "gone.txt", None, {})
