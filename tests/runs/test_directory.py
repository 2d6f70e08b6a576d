"""The run directory: made whole, read lazily, refused where it is none."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from hornbook.api import Run
from hornbook.errors import ConfigError, RunError
from hornbook.runs.directory import (
    StoredRun,
    check_free,
    create,
    free_path,
    saved_step,
    unfinished,
)


@pytest.fixture
def copy(names_run: Run, tmp_path: Path) -> Path:
    path = tmp_path / "copy"
    shutil.copytree(names_run.path, path)
    return path


def test_a_run_is_all_that_its_directory_holds(names_run: Run, copy: Path) -> None:
    run = StoredRun.load(copy)
    assert run.config == names_run.config
    assert run.report == names_run.report
    assert run.log == names_run.log
    assert run.model.n_parameters == names_run.model.n_parameters
    assert "validation" in repr(run)


def test_a_name_that_is_nearly_right_is_suggested(copy: Path) -> None:
    with pytest.raises(RunError, match="did you mean 'copy'"):
        StoredRun.load(copy.parent / "coppy")


def test_a_tokenizer_of_another_run_is_refused(copy: Path, stream_run: Run) -> None:
    shutil.copy(stream_run.path / "tokenizer.json", copy / "tokenizer.json")
    with pytest.raises(RunError, match="it is of another run"):
        _ = StoredRun.load(copy).tokenizer


def test_damage_of_a_log_ends_it_or_is_an_error(copy: Path) -> None:
    lines = (copy / "log.jsonl").read_text().splitlines()
    (copy / "log.jsonl").write_text("\n".join([*lines[:3], '{"step": -1}', *lines[3:]]) + "\n")
    run = StoredRun.load(copy)
    with pytest.raises(RunError, match="step"):
        _ = run.log
    damage: list[str] = []
    assert len(run.read_log(damage)) == 3
    assert len(damage) == 1


def test_a_directory_is_created_whole_and_once(names_run: Run, tmp_path: Path) -> None:
    out = tmp_path / "new"
    run = create(out, names_run.facts, names_run.config, names_run.tokenizer)
    assert sorted(p.name for p in out.iterdir()) == ["config.json", "tokenizer.json"]
    assert StoredRun.load(out).config == run.config
    assert sorted(p.name for p in tmp_path.iterdir()) == ["new"]
    with pytest.raises(ConfigError, match="exists already"):
        create(out, names_run.facts, names_run.config, names_run.tokenizer)


def test_what_is_there_already_is_said_with_the_way_on(copy: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"finished after 30 steps.*\n  .*--steps 60\n"):
        check_free(copy)
    shutil.rmtree(copy / "last")
    with pytest.raises(ConfigError, match=r"finished after 30 steps; give another directory"):
        check_free(copy)
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="exists already; give another directory"):
        check_free(tmp_path / "file")
    check_free(tmp_path / "free")
    with pytest.raises(RunError, match="cannot be made in"):
        check_free(tmp_path / "file" / "below")


def test_an_unfinished_run_is_known_by_its_missing_report(copy: Path) -> None:
    assert unfinished(copy) is None
    (copy / "report.json").unlink()
    assert str(unfinished(copy)).endswith(f"hornbook train --resume {copy}")
    assert unfinished(copy.parent) is None


def test_the_steps_done_are_those_of_the_pointer_or_of_the_files(copy: Path) -> None:
    assert saved_step(copy) == 30
    pointer = copy / "last" / "state.json"
    facts = json.loads(pointer.read_text())
    pointer.write_text("{")
    assert saved_step(copy) == facts["step"]
    shutil.rmtree(copy / "last")
    assert saved_step(copy) is None


def test_a_taken_name_is_counted_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert free_path("names-gpt") == (Path("runs/names-gpt"), None)
    os.makedirs("runs/names-gpt")
    assert free_path("names-gpt") == (Path("runs/names-gpt-2"), Path("runs/names-gpt"))
