"""The command line as its users meet it: output, messages, exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hornbook.api import Run
from hornbook.cli.main import main
from tests.conftest import WORDS, strict

Write = Callable[[str, bytes | str], Path]


def run(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    code = main([str(a) for a in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


Cap = pytest.CaptureFixture[str]


def test_eval_agrees_with_python(capsys: Cap, names_run: Run) -> None:
    code, out, _ = run(capsys, "eval", names_run.path, "--json")
    assert code == 0
    result = json.loads(out)
    evaluation = names_run.evaluate("val")
    assert result["nats"] == pytest.approx(evaluation.nats)
    assert result["tokens"] == 21_444
    code, out, _ = run(capsys, "eval", names_run.path, "--split", "test")
    assert code == 0
    assert "perplexity" in out
    assert "bits per byte" in out


def test_eval_reads_another_text(capsys: Cap, names_run: Run, write: Write) -> None:
    path = write("other.txt", "emma\nolivia\nava\n")
    code, out, _ = run(capsys, "eval", names_run.path, "--corpus", path, "--json")
    assert code == 0
    scores = names_run.score(["emma", "olivia", "ava"])
    assert json.loads(out)["tokens"] == 16
    assert json.loads(out)["nats"] == pytest.approx(sum(s.total for s in scores) / 16, rel=1e-5)


def test_score_marks_the_most_surprising(
    capsys: Cap, names_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, _ = run(capsys, "score", names_run.path, "andrejq", "--tokens")
    assert code == 0
    lines = out.splitlines()
    assert len(lines) == 9
    nats = [float(line.split()[1]) for line in lines[1:]]
    marked = next(i for i, line in enumerate(lines[1:]) if "most surprising" in line)
    assert nats[marked] == max(nats)
    import io

    monkeypatch.setattr(sys, "stdin", io.StringIO("emma\n\nolivia\n"))
    code, out, _ = run(capsys, "score", names_run.path, "--json", "--tokens")
    objects = [json.loads(line) for line in out.splitlines()]
    assert [o["text"] for o in objects] == ["emma", "olivia"]
    assert objects[0]["total_nats"] == pytest.approx(sum(objects[0]["nats"]))


def test_show_draws_the_curve(capsys: Cap, names_run: Run) -> None:
    code, out, _ = run(capsys, "show", names_run.path)
    assert f"verdict     {names_run.report['novelty']['verdict']}" in out
    assert code == 0
    for word in ("gpt", "names", "nats per token", "updates", "o", "|"):
        assert word in out
    code, out, _ = run(capsys, "show", names_run.path, "--json")
    assert json.loads(out)["report"]["steps"] == 30


def test_the_curve_says_what_it_is_of(capsys: Cap, names_run: Run, write: Write) -> None:
    assert "o validation" in run(capsys, "show", names_run.path)[1]
    path = write("w.txt", "\n".join(WORDS))
    flags = ["--model", "bow", "--data.kind", "documents", "--data.validation", "0"]
    out = path.parent / "run"
    assert run(capsys, "train", path, *flags, "--training.steps", "4", "--out", out)[0] == 0
    shown = run(capsys, "show", out)[1]
    assert "o training text" in shown
    assert "o validation" not in shown


def test_data_describes_a_corpus(capsys: Cap, write: Write) -> None:
    code, out, _ = run(capsys, "data")
    assert code == 0
    assert all(name in out for name in ("names", "makemore-names", "shakespeare"))
    path = write("t.txt", "emma\nolivia\nemma\nzoë\n")
    code, out, _ = run(capsys, "data", path, "--kind", "documents")
    assert code == 0
    assert "4, 3 different" in out
    assert "emma x2" in out
    assert "LATIN SMALL LETTER E WITH DIAERESIS" in out


def test_a_line_of_stdin_that_cannot_be_scored_is_named(names_run: Run, tmp_path: Path) -> None:
    def score(raw: bytes) -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "-m", "hornbook", "score", str(names_run.path)]
        return subprocess.run(command, input=raw, capture_output=True)

    done = score(b"emma\r\nolivia\nEmma\nava\n")
    assert done.returncode == 1
    assert b"olivia" in done.stdout
    assert b"text 3: unknown symbols: 'E'" in done.stderr
    done = score(b"em\xffma\n")
    assert b"found byte 0xff, which is not valid UTF-8" in done.stderr
    assert b"Traceback" not in done.stderr


def test_a_text_held_impossible_is_scored_in_words_and_in_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, few = str(tmp_path / "run"), tmp_path / "few.txt"
    few.write_text("\n".join(WORDS * 3))
    words = ["train", str(few), "--model", "ngram", "--model.smoothing", "add-k", "--model.k", "0"]
    assert main([*words, "--out", run]) == 0
    capsys.readouterr()
    assert main(["score", run, "bbb", "--tokens"]) == 0
    assert "inf" in capsys.readouterr().out
    assert main(["score", run, "bbb", "--tokens", "--json"]) == 0
    assert strict(capsys.readouterr().out)["total_nats"] is None
