from __future__ import annotations

import json
from pathlib import Path

import pytest

from hornbook.api import Run
from hornbook.cli.main import main
from hornbook.export import huggingface
from hornbook.export.base import Check


def test_an_unknown_target_is_an_error_of_one_line(
    names_run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(names_run.path), "--to", "ggfu"]) != 0
    error = capsys.readouterr().err
    assert "ggfu" in error
    assert "gguf" in error


def test_it_prints_where_what_and_that_nothing_was_compared(
    names_run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "there"
    command = ["export", str(names_run.path), "--to", "hf", "--out", str(out), "--no-verify"]
    assert main(command) == 0
    captured = capsys.readouterr()
    assert captured.out.splitlines()[0] == f"{out}  (f32)"
    assert "--unknown skip" in captured.out
    assert "not checked, as requested" in captured.err
    assert main([*command, "--json", "--overwrite"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["path"] == str(out)
    assert found["checks"] == []


def test_a_difference_is_printed_and_fails(
    names_run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    wrong = [Check("other 1", "tokens", True), Check("other 1", "logits", False, 0.25)]
    monkeypatch.setattr(huggingface, "check", lambda run, written: wrong)
    monkeypatch.setattr(huggingface, "PROGRAM", "json")  # is installed
    command = ["export", str(names_run.path), "--to", "hf", "--out", str(tmp_path / "out")]
    assert main(command) == 1
    out = capsys.readouterr().out
    assert "other 1: tokens: equal" in out
    assert "other 1: logits: largest difference 2.5e-01 (NOT equal)" in out
