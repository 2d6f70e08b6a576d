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
