"""Runs that are moved or removed while they are trained, or trained by two processes."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import hornbook
from hornbook.errors import RunError
from hornbook.files import read_lines
from hornbook.training import report
from tests.reliability.conftest import SETTINGS, At, Listen


def test_the_second_process_is_refused_and_told_who_the_first_is(copy: Path) -> None:
    program = (
        "import sys, hornbook\n"
        "from hornbook.runs.lock import Lock\n"
        "from pathlib import Path\n"
        f"with Lock(Path({str(copy)!r})):\n"
        "    print('held', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    first = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert first.stdin is not None
    assert first.stdout is not None
    assert first.stdout.readline() == "held\n"
    with pytest.raises(RunError, match=rf"process {first.pid} on .*since 20.* is training it"):
        hornbook.resume(copy)
    first.kill()
    first.wait()
    first.stdin.close()
    first.stdout.close()
    heard = Listen()
    assert hornbook.resume(copy, callbacks=[heard]).report["steps"] == 12
    assert any(f"process {first.pid} on" in line and "was killed" in line for line in heard.heard)


def test_a_run_that_is_moved_goes_on_where_it_is_now(corpus: Path, tmp_path: Path) -> None:
    out, there, heard = tmp_path / "here", tmp_path / "there", Listen()

    def move(_: object) -> None:
        out.rename(there)
        out.mkdir()  # somebody else's

    run = hornbook.train(str(corpus), out=out, settings=SETTINGS, callbacks=[At(6, move), heard])
    assert run.path == there
    assert run.report["steps"] == 12
    assert not list(out.iterdir())
    assert any(f"was moved to {there}" in line for line in heard.heard)
    assert [r["step"] for r in run.log] == list(range(1, 13))


@pytest.mark.parametrize("model", ["bigram", "ngram"])
def test_a_run_that_is_moved_while_the_report_is_made_gets_it(
    model: str, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, there, plain = tmp_path / "here", tmp_path / "there", report.novelty_report

    def moved(*args: Any) -> Any:
        out.rename(there)
        out.mkdir()  # somebody else's
        return plain(*args)

    monkeypatch.setattr(report, "novelty_report", moved)
    settings = {"training": SETTINGS["training"]} if model == "bigram" else {}
    run = hornbook.train(str(corpus), model=model, out=out, settings=settings)
    assert run.path == there
    assert run.report["samples"]
    assert not list(out.iterdir())


def test_a_run_that_is_moved_gets_the_early_looks_at_copies(corpus: Path, tmp_path: Path) -> None:
    out, there = tmp_path / "here", tmp_path / "there"

    def move(_: object) -> None:
        out.rename(there)
        out.mkdir()  # somebody else's

    training = {**SETTINGS["training"], "steps": 20, "eval_count": 1, "probe_every": 100}
    settings = {**SETTINGS, "training": training}
    hornbook.train(str(corpus), out=out, settings=settings, callbacks=[At(7, move)])
    assert not list(out.iterdir())
    seen = [(r["kind"], r["step"]) for r in read_lines(there / "probes.jsonl")]
    assert seen == [("probe", 1), ("novelty", 8), ("novelty", 16), ("probe", 20), ("novelty", 20)]


def test_a_run_that_is_removed_says_so(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "r"
    with pytest.raises(RunError, match="was removed or moved to another disk"):
        hornbook.train(
            str(corpus),
            out=out,
            settings=SETTINGS,
            callbacks=[At(6, lambda _: shutil.rmtree(out))],
        )
