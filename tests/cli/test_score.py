"""`hornbook score`."""

from __future__ import annotations

import io
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from hornbook.api import Run
from hornbook.cli.main import main
from tests.cli.common import run
from tests.conftest import WORDS, strict

Cap = pytest.CaptureFixture[str]


def objects(capsys: Cap) -> list[dict[str, Any]]:
    """What `--json` printed."""
    return [strict(line) for line in capsys.readouterr().out.splitlines()]


def test_the_marks_of_tokens_are_words(capsys: Cap, names_run: Run) -> None:
    (score,) = names_run.score("aaaaaaaaaaaaaaq")
    assert main(["score", str(names_run.path), score.text, "--tokens"]) == 0
    heading, columns, *lines = capsys.readouterr().out.splitlines()
    assert heading.startswith(f"{score.text}: {score.total:.3f} nats")
    assert columns.split() == ["token", "nats", "#:", "0.25", "nats"]
    assert len(lines) == score.tokens
    assert lines[-1].endswith("the end")
    for line, nats in zip(lines, score.token_nats, strict=True):
        assert float(line.split()[1]) == pytest.approx(nats, abs=1e-3)
        assert ("most surprising" in line) == (nats == max(score.token_nats))
        much = 2 * score.mean < nats < max(score.token_nats)
        assert ("more than 2 times the mean" in line) == much


def test_a_text_is_said_to_be_typical_or_not(capsys: Cap, names_run: Run) -> None:
    assert main(["score", str(names_run.path), "anna", "xqzvkxq"]) == 0
    out, err = capsys.readouterr()
    header, first, second = out.splitlines()
    assert header.split() == ["total", "mean", "bits/byte", "percentile", "text"]
    texts = names_run.held_out_texts
    assert texts is not None
    assert first.split()[3] == f"{texts.percentile(names_run.score('anna')[0]):.0f}"
    assert int(second.split()[3]) > 95
    assert err.startswith(
        f"percentile: the share of {texts.count:,} held-out documents with a lower"
    )


def test_a_run_of_an_earlier_version_has_no_percentiles(
    capsys: Cap, names_run: Run, tmp_path: Path
) -> None:
    older = shutil.copytree(names_run.path, tmp_path / "older")
    report = names_run.report
    del report["held_out_texts"]
    (older / "report.json").write_text(json.dumps(report))
    assert main(["score", str(older), "emma"]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[1].split()[3] == "-"
    assert err == ""
    assert main(["score", str(older), "emma", "--json"]) == 0
    assert objects(capsys)[0]["percentile"] is None


@pytest.mark.parametrize("texts", [[], ["-"]])
def test_lines_of_stdin_line_up_with_their_scores(
    texts: list[str], capsys: Cap, names_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty line is an empty document."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("emma\n\nolivia\n"))
    assert main(["score", str(names_run.path), *texts, "--json", "--tokens"]) == 0
    found = objects(capsys)
    assert [o["text"] for o in found] == ["emma", "", "olivia"]
    assert found[0]["total_nats"] == pytest.approx(sum(found[0]["nats"]))
    assert found[1]["tokens"] == 1


@pytest.mark.parametrize("encoding", [None, "latin-1"])
def test_stdin_may_be_marked_or_named(
    encoding: str | None, capsys: Cap, names_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = "emma\r\r\nolivia\r\n".encode(encoding or "utf-8-sig")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw), "utf-8"))
    named = ["--encoding", encoding] if encoding else []
    assert main(["score", str(names_run.path), "--json", *named]) == 0
    assert [o["text"] for o in objects(capsys)] == ["emma", "olivia"]


def test_a_text_that_cannot_be_scored_does_not_swallow_others(
    capsys: Cap, names_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [*WORDS, "Emma", "ava", "no way", *WORDS, "Mia"]
    wrong = [i for i, text in enumerate(texts, 1) if not text.islower() or " " in text]
    assert main(["score", str(names_run.path), *texts]) == 1
    out, err = capsys.readouterr()
    lines = out.splitlines()[1:]
    assert [line.split(maxsplit=4)[4] for line in lines] == texts
    assert [i for i, line in enumerate(lines, 1) if line.split()[0] == "-"] == wrong
    for i in wrong:
        assert f"hornbook: text {i}: unknown characters" in err
    assert f"{len(wrong)} of {len(texts)} texts could not be scored" in err
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n".join(texts)))
    assert main(["score", str(names_run.path), "--json"]) == 1
    found = objects(capsys)
    assert [o["text"] for o in found] == texts
    assert [i for i, o in enumerate(found, 1) if "error" in o] == wrong
    expected = [
        s.total for s in names_run.score([t for t in texts if t.islower() and " " not in t])
    ]
    assert [o["total_nats"] for o in found if "error" not in o] == pytest.approx(expected)


def test_an_empty_line_of_a_stream_is_an_error_in_its_place(
    capsys: Cap, stream_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("green\n\nbottles\n"))
    assert main(["score", str(stream_run.path), "--json"]) == 1
    first, second, third = objects(capsys)
    assert (first["text"], third["text"]) == ("green", "bottles")
    assert second["text"] == ""
    assert "expected" in second["error"]


def test_lines_before_one_that_cannot_be_read_are_scored(
    capsys: Cap, names_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = io.BytesIO(b"emma\r\n" + b"olivia\n" * 2500 + b"em\xffma\nava\n")  # read in pieces
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(raw, "utf-8"))
    assert main(["score", str(names_run.path)]) == 1
    out, err = capsys.readouterr()
    assert [line.split()[-1] for line in out.splitlines()[1:]][:2] == ["emma", "olivia"]
    assert "found byte 0xff, which is not valid UTF-8" in err


def test_the_end_is_no_full_stop(capsys: Cap, tmp_path: Path) -> None:
    path = tmp_path / "addresses.txt"
    path.write_text("a.b\nb.c.\nc.a\na.\n" * 9)
    words = ["train", str(path), "--model", "ngram", "--out", str(tmp_path / "run")]
    assert main([*words, "--kind", "documents"]) == 0
    capsys.readouterr()
    assert main(["score", str(tmp_path / "run"), "a.", "--tokens", "--json"]) == 0
    assert objects(capsys)[0]["symbols"] == ["a", ".", "<|endoftext|>"]
    assert main(["score", str(tmp_path / "run"), "a.", "--tokens"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[2:]] == ["a", ".", "<end>"]


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


def test_a_dash_is_stdin_and_after_two_dashes_a_text(
    capsys: Cap, names_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("emma\nava\n"))
    code, out, _ = run(capsys, "score", names_run.path, "-", "--json")
    assert (code, [json.loads(line)["text"] for line in out.splitlines()]) == (0, ["emma", "ava"])
    _, out, _ = run(capsys, "score", names_run.path, "--json", "--", "-")
    assert json.loads(out)["text"] == "-"
    code, _, err = run(capsys, "score", names_run.path, "emma", "--separator", "blank")
    assert (code, "--separator: found it beside TEXT, which is read whole" in err) == (2, True)


def test_a_text_that_names_a_file_is_scored_and_told_how_the_file_is(
    capsys: Cap, names_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my").write_text("emma\n")
    assert main(["score", str(names_run.path), "my", "emma"]) == 0
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 3
    command = f"hornbook score {names_run.path} < my"
    assert f"my: is scored as a text; to score what the file of this name holds: {command}\n" in err


def test_one_held_out_text_is_in_the_singular(names_run: Run, tmp_path: Path, capsys: Cap) -> None:
    path = shutil.copytree(names_run.path, tmp_path / "one")
    report = json.loads((path / "report.json").read_text())
    report["held_out_texts"]["count"] = 1
    (path / "report.json").write_text(json.dumps(report))
    assert main(["score", str(path), "emma"]) == 0
    assert "the share of 1 held-out document with" in capsys.readouterr().err
