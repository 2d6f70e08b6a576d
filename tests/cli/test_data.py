"""`hornbook data`: the figures of a corpus."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hornbook.cli.data import statistics
from hornbook.cli.main import main
from hornbook.data.corpus import read_corpus
from hornbook.data.limits import Limits
from tests.data.sources.test_standard_input import Piped

Write = Callable[[str, bytes | str], Path]
Cap = pytest.CaptureFixture[str]
BOTTLES = "".join(f"{i} green bottles,\n\nhanging on the wæll. " for i in range(400))


def test_the_known_corpora_are_listed(capsys: Cap) -> None:
    assert main(["data"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in ("names", "makemore-names", "shakespeare"))
    assert main(["data", "--json"]) == 0
    names = [json.loads(line)["name"] for line in capsys.readouterr().out.splitlines()]
    assert names == ["names", "makemore-names", "shakespeare"]


def test_a_corpus_of_documents_is_described(capsys: Cap, write: Write) -> None:
    path = str(write("t.txt", "emma\nolivia\n\nemma\nzoë\n"))
    assert main(["data", path, "--kind", "documents"]) == 0
    out = capsys.readouterr().out
    assert "4, 3 different" in out
    assert "emma x2" in out
    assert "3 to 6 characters, median 4" in out
    assert "9 characters: aeilmovzë" in out
    assert "LATIN SMALL LETTER E WITH DIAERESIS" in out
    assert "1 blank line left out" in out


def test_a_stream_is_described_as_json(capsys: Cap, write: Write) -> None:
    path = str(write("t.txt", BOTTLES))
    assert main(["data", path, "--kind", "stream", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["characters"] == len(BOTTLES)
    assert facts["bytes"] == len(BOTTLES.encode())
    assert facts["lines"] == BOTTLES.count("\n")
    assert facts["different_characters"] == len(set(BOTTLES))


def test_examples_are_printed_as_in_the_notes(capsys: Cap, write: Write) -> None:
    path = str(write("t.txt", "emma\nolivia\nava\n"))
    assert main(["data", path, "--kind", "documents", "--examples", "-n", "1"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[1:]]
    pairs = ["... e", "..e m", ".em m", "emm a", "mma ."]  # the notes, "Trigram+MLP"
    assert [f"{row[0]} {row[2]}" for row in rows] == pairs
    assert main(["data", path, "--kind", "documents", "--examples", "--json"]) == 0
    objects = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(objects) == len("emma.olivia.ava.")


def test_examples_of_a_stream_grow_to_a_block(capsys: Cap, write: Write) -> None:
    path = str(write("t.txt", BOTTLES))
    words = ["data", path, "--kind", "stream", "--examples", "--json"]
    assert main([*words, "-n", "2", "--context-length", "4"]) == 0
    objects = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    found = [("".join(o["context"]), o["target"]) for o in objects]
    blocks = [BOTTLES[0:5], BOTTLES[4:9]]  # a block and the character after it
    assert found == [(block[:t], block[t]) for block in blocks for t in range(1, 5)]
    assert main(words) == 0
    assert len(capsys.readouterr().out.splitlines()) == 8


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--examples"], "found no corpus"),
        (["names", "-n", "3"], "without --examples"),
        (["names", "--examples", "-n", "0"], "n: found 0"),
        (["names", "--examples", "--context-length", "0"], "context_length: found 0"),
    ],
)
def test_wrong_requests_for_examples_are_refused(
    words: list[str], message: str, capsys: Cap
) -> None:
    assert main(["data", *words]) == 2
    assert message in capsys.readouterr().err


def test_lines_that_part_texts_are_pointed_out(capsys: Cap, write: Write) -> None:
    path = write("sayings", "\n%\n".join(f"Saying {i} is\n  somebody's" for i in range(30)))
    assert main(["data", str(path)]) == 0
    out = capsys.readouterr().out
    assert "29 lines are '%'; to read each text between them as a document: --separator %" in out
    assert main(["data", str(path), "--separator", "%"]) == 0
    assert "30, 30 different" in capsys.readouterr().out


def test_what_is_wrong_with_a_pipe_is_said_of_stdin(
    capsys: Cap, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", Piped(b""))
    assert main(["data", "-"]) == 1
    assert capsys.readouterr().err == "hornbook: stdin: is empty; expected a text to learn from\n"


@pytest.mark.parametrize("kind", ["documents", "stream"])
def test_figures_that_are_of_an_excerpt_say_so(kind: str, write: Write) -> None:
    path = write("t.txt", BOTTLES)
    limits = Limits(in_memory=0, chunk=300, excerpt=400)
    whole = statistics(read_corpus(path, kind=kind))
    facts = statistics(read_corpus(path, kind=kind, limits=limits))
    assert facts["notes"][-1].endswith(f"of the first {facts['excerpt']} characters")
    exact = ("characters", "different_characters", "bytes", "sha256", "documents", "lines")
    assert {k: facts.get(k) for k in exact} == {k: whole.get(k) for k in exact}
