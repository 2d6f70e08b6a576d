"""`hornbook show`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import hornbook
from hornbook.api import Run
from hornbook.cli.main import main
from hornbook.cli.show import plot
from tests.conftest import WORDS

Cap = pytest.CaptureFixture[str]


def test_show_prints_the_report_and_the_curve(capsys: Cap, names_run: Run) -> None:
    assert main(["show", str(names_run.path)]) == 0
    out = capsys.readouterr().out
    rows = dict(line.split(None, 1) for line in out.partition("\n\n")[0].splitlines())
    assert rows["verdict"] == names_run.report["verdict"]["text"]
    assert rows["steps"].startswith("30, ")
    assert f"{names_run.report['validation']['nats']:.4f} (standard error" in rows["validation"]
    assert "o validation" in out
    assert main(["show", str(names_run.path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["report"] == names_run.report


def test_what_is_no_run_is_left_out_with_a_line(
    capsys: Cap, names_run: Run, tmp_path: Path
) -> None:
    paths = [tmp_path / "nothing", names_run.path, tmp_path]
    assert main(["show", *map(str, paths)]) == 0
    out, err = capsys.readouterr()
    assert names_run.report["verdict"]["text"] in out
    assert [line.partition(": found")[0] for line in err.splitlines()] == [
        f"left out: {tmp_path / 'nothing'}", f"left out: {tmp_path}",
    ]  # fmt: skip
    assert main(["show", str(tmp_path)]) == 1


def test_an_unfinished_run_says_how_to_resume_it(
    capsys: Cap, names_run: Run, tmp_path: Path
) -> None:
    path = tmp_path / "my run"
    shutil.copytree(names_run.path, path)
    (path / "report.json").unlink()
    assert main(["show", str(path)]) == 0
    expected = f"steps     30: not finished; hornbook train --resume '{path}'"
    assert expected in capsys.readouterr().out


def test_the_curve_says_what_it_is_of(capsys: Cap, tmp_path: Path) -> None:
    words = tmp_path / "w.txt"
    words.write_text("\n".join(WORDS))
    settings = {"data.kind": "documents", "data.validation": 0}
    run = hornbook.train(str(words), model="bow", steps=4, out=tmp_path / "run", settings=settings)
    assert main(["show", str(run.path)]) == 0
    out = capsys.readouterr().out
    assert "o training text" in out
    assert "o validation" not in out


def test_the_curve_starts_high_and_ends_low() -> None:
    curve = plot([{"step": i, "loss": 10.0 - i} for i in range(10)], 10, 10, legend="")
    _, *rows, _, ends = curve.splitlines()
    assert [row.partition("|")[2].index(".") for row in rows] == list(range(10))
    assert ends.endswith("9 steps")
    assert plot([{"step": 1, "loss": 1.0}], legend="") == ""
