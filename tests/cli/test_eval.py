"""`hornbook eval`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hornbook.api import Run
from hornbook.cli.main import main

Cap = pytest.CaptureFixture[str]


def test_eval_agrees_with_python(capsys: Cap, names_run: Run) -> None:
    assert main(["eval", str(names_run.path), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    evaluation = names_run.evaluate("val")
    assert result["nats"] == pytest.approx(evaluation.nats)
    assert result["tokens"] == evaluation.tokens == 21_444
    assert main(["eval", str(names_run.path), "--split", "test"]) == 0
    assert f"{names_run.evaluate('test').nats:.4f}" in capsys.readouterr().out


def test_eval_reads_another_text(capsys: Cap, names_run: Run, tmp_path: Path) -> None:
    path = tmp_path / "other.txt"
    path.write_text("emma\nolivia\nava\n")
    assert main(["eval", str(names_run.path), "--corpus", str(path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    scores = names_run.score(["emma", "olivia", "ava"])
    assert found["tokens"] == 16
    assert found["nats"] == pytest.approx(sum(s.total for s in scores) / 16, rel=1e-5)


def test_eval_detects_the_encoding_of_another_text_or_is_told(
    capsys: Cap, names_run: Run, tmp_path: Path
) -> None:
    path = tmp_path / "other.txt"
    path.write_bytes("emma\nolivia\n".encode("utf-16"))
    command = ["eval", str(names_run.path), "--corpus", str(path), "--json"]
    assert main(command) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["tokens"] == 12
    assert "note  read as utf-16, which it is in, not as utf-8" in said.err
    path.write_bytes("emma\nolivia\n".encode("utf-16-le"))
    assert main([*command, "--encoding", "utf-16-le"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["tokens"] == 12
    assert main(["eval", str(names_run.path), "--encoding", "latin-1"]) == 2


def test_eval_says_how_much_it_leaves_out(capsys: Cap, names_run: Run, tmp_path: Path) -> None:
    path = tmp_path / "other.txt"
    path.write_text("Emma\nolivia!\nava\n")
    assert main(["eval", str(names_run.path), "--corpus", str(path), "--unknown", "skip"]) == 0
    assert "2 of 14 characters (14%) are unknown and left out" in capsys.readouterr().err
    path.write_text("emma\n")
    assert main(["eval", str(names_run.path), "--corpus", str(path), "--unknown", "skip"]) == 0
    assert "left out" not in capsys.readouterr().err


def test_eval_offers_another_text_where_the_corpus_is_gone(
    capsys: Cap, words_file: Path, tmp_path: Path
) -> None:
    out = str(tmp_path / "run")
    assert main(["train", str(words_file), "--model", "ngram", "--out", out]) == 0
    words_file.unlink()
    assert main(["eval", out]) == 1
    assert "to evaluate it on another text: --corpus FILE" in capsys.readouterr().err


def test_one_document_is_in_the_singular(capsys: Cap, names_run: Run, tmp_path: Path) -> None:
    path = tmp_path / "one.txt"
    path.write_text("emma\n")
    assert main(["eval", str(names_run.path), "--corpus", str(path)]) == 0
    assert "5 tokens, 1 document\n" in capsys.readouterr().out
