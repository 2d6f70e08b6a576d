"""`hornbook score`."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from hornbook.api import Run
from hornbook.cli.main import main
from tests.conftest import WORDS, strict

Cap = pytest.CaptureFixture[str]


def test_the_most_surprising_token_is_marked(capsys: Cap, names_run: Run) -> None:
    assert main(["score", str(names_run.path), "andrejq", "--tokens"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 9
    nats = [float(line.split()[1]) for line in lines[1:]]
    (marked,) = (i for i, line in enumerate(lines[1:]) if "most surprising" in line)
    assert nats[marked] == max(nats)


def test_lines_of_stdin_are_scored(
    capsys: Cap, names_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("emma\n\nolivia\n"))
    assert main(["score", str(names_run.path), "--json", "--tokens"]) == 0
    objects = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [o["text"] for o in objects] == ["emma", "olivia"]
    assert objects[0]["total_nats"] == pytest.approx(sum(objects[0]["nats"]))


@pytest.mark.parametrize("encoding", [None, "latin-1"])
def test_stdin_may_be_marked_or_named(
    encoding: str | None, capsys: Cap, names_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = "emma\r\r\nolivia\r\n".encode(encoding or "utf-8-sig")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw), "utf-8"))
    named = ["--encoding", encoding] if encoding else []
    assert main(["score", str(names_run.path), "--json", *named]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["text"] for line in lines] == ["emma", "olivia"]


def test_a_line_of_stdin_that_cannot_be_scored_is_named(names_run: Run) -> None:
    def score(raw: bytes) -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "-m", "hornbook", "score", str(names_run.path)]
        return subprocess.run(command, input=raw, capture_output=True)

    done = score(b"emma\r\nolivia\nEmma\nava\n")
    assert done.returncode == 1
    assert b"olivia" in done.stdout
    assert b"text 3: unknown characters: 'E'" in done.stderr
    done = score(b"em\xffma\n")
    assert b"found byte 0xff, which is not valid UTF-8" in done.stderr
    assert b"Traceback" not in done.stderr


def test_an_impossible_text_is_scored_in_words_and_in_json(tmp_path: Path, capsys: Cap) -> None:
    run, few = str(tmp_path / "run"), tmp_path / "few.txt"
    few.write_text("\n".join(WORDS * 3))
    words = ["train", str(few), "--model", "ngram", "--model.smoothing", "add-k", "--model.k", "0"]
    assert main([*words, "--out", run]) == 0
    capsys.readouterr()
    assert main(["score", run, "bbb", "--tokens"]) == 0
    assert "inf" in capsys.readouterr().out
    assert main(["score", run, "bbb", "--tokens", "--json"]) == 0
    assert strict(capsys.readouterr().out)["total_nats"] is None
