"""A log that is followed while it is written."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path

import pytest

from hornbook.api import Run
from hornbook.runs.lock import Lock

pytest.importorskip("fastapi", reason="needs the extra serve")


def test_a_run_in_training_is_followed(
    names_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hornbook.serve import watching

    monkeypatch.setattr(watching, "EVERY", 0.01)
    path = tmp_path / "run"
    shutil.copytree(names_run.path, path)
    file = path / "log.jsonl"
    lines = file.read_text().splitlines(keepends=True)
    file.write_text(lines[0])

    async def follow() -> list[str]:
        events, lock, waits = [], Lock(path), 0
        lock.__enter__()
        try:
            async for event in watching.follow(path):
                if event is not None:
                    events.append(event)
                    continue
                waits += 1
                with file.open("a") as log:
                    if waits == 1:
                        log.write(lines[1][:10])  # half a line is not there yet
                    elif waits == 2:
                        log.write(lines[1][10:] + "no JSON\n" + lines[2])
                    elif waits == 3:
                        lock.__exit__(None, None, None)
        finally:
            if waits < 3:
                lock.__exit__(None, None, None)
        return events

    events = asyncio.run(asyncio.wait_for(follow(), 60))
    records = [json.loads(e.split("data: ")[1]) for e in events[:-1]]
    assert records == [json.loads(line) for line in lines[:3]]
    assert events[-1].startswith("event: end")


def test_a_log_that_was_cut_is_read_again(tmp_path: Path) -> None:
    from hornbook.serve.watching import _new_lines

    file = tmp_path / "log.jsonl"
    assert _new_lines(file, 0) == ([], 0)
    file.write_text('{"step": 1}\n{"step": 2}\n')
    found, after = _new_lines(file, 0)
    assert (len(found), after) == (2, 24)
    file.write_text('{"step": 3}\n')
    assert _new_lines(file, after) == ([(12, '{"step": 3}')], 12)
    (tmp_path / "link").symlink_to(file)
    assert _new_lines(tmp_path / "link", 0) == ([], 0)


def test_counts_of_a_run_in_training_are_those_of_its_report(
    names_run: Run, tmp_path: Path
) -> None:
    from hornbook.serve import watching

    finished = watching.baselines(names_run.path)
    assert finished["counts_nats"] == names_run.report["counts"]["loss"]
    path = tmp_path / "run"
    shutil.copytree(names_run.path, path)
    (path / "report.json").unlink()
    assert watching.baselines(path) == pytest.approx(finished)
