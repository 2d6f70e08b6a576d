"""A run is repeated from its own config.json."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import hornbook
from hornbook.config.layering import override
from hornbook.errors import RunError
from hornbook.planning.repeat import is_run_config, read_run_settings
from hornbook.planning.request import read_request
from hornbook.planning.resolve import resolve
from tests.conftest import TINY_GPT


def test_a_run_repeats_itself_bit_for_bit(names_run: hornbook.Run, tmp_path: Path) -> None:
    for path in (names_run.path, names_run.path / "config.json"):
        assert is_run_config(path)
        settings, sha256 = read_run_settings(path)
        assert sha256 == names_run.facts["corpus"]["sha256"]
    again = hornbook.train(out=tmp_path / "again", settings=settings)
    first, second = (run.path / "model.safetensors" for run in (names_run, again))
    assert first.read_bytes() == second.read_bytes()
    assert again.config == names_run.config.model_copy(
        update={"training": again.config.training, "data": again.config.data}
    )


def test_epochs_and_minutes_are_repeated_as_the_steps_they_were(
    words_file: Path, tmp_path: Path
) -> None:
    training = {"batch_size": 4, "precision": "fp32", "threads": 1, "compile": "no"}
    settings = {"model": TINY_GPT["model"], "training": training}
    run = hornbook.train(str(words_file), epochs=2, out=tmp_path / "run", settings=settings)
    assert run.config.training.epochs == 2
    repeated, _ = read_run_settings(run.path)
    plan = resolve(read_request(settings=repeated))
    assert plan.config.training.steps == run.config.training.steps
    other = resolve(read_request(settings=override(repeated, {"training": {"epochs": 1}})))
    assert other.config.training.steps == -(-plan.config.training.steps // 2)


def test_a_timed_run_is_repeated_by_the_schedule_that_it_took(
    names_run: hornbook.Run, tmp_path: Path
) -> None:
    copy = shutil.copytree(names_run.path, tmp_path / "copy")
    used = [[0, 0.0, 20], [7, 7.0, 13]]
    report = {**names_run.report, "schedule": used}
    (copy / "report.json").write_text(json.dumps(report))
    pointer = copy / "last" / "state.json"
    pointer.write_text(json.dumps({**json.loads(pointer.read_text()), "total_steps": 13}))
    facts = json.loads((copy / "config.json").read_text())
    facts["config"]["training"]["minutes"] = 0.1
    (copy / "config.json").write_text(json.dumps(facts))
    plan = resolve(read_request(settings=read_run_settings(copy)[0]))
    assert [list(segment) for segment in plan.schedule.segments] == used
    assert plan.time_budget is None


def test_a_run_that_was_extended_is_repeated_to_its_whole_length(
    names_run: hornbook.Run, tmp_path: Path
) -> None:
    copy = shutil.copytree(names_run.path, tmp_path / "copy")
    facts = json.loads((copy / "config.json").read_text())
    facts["schedule"] = [[0, 0.0, 20], [7, 7.0, 30]]  # of a time budget, before it was extended
    (copy / "config.json").write_text(json.dumps(facts))
    hornbook.resume(copy, steps=32)
    plan = resolve(read_request(settings=read_run_settings(copy)[0]))
    assert plan.schedule.total_steps == 32
    assert len(plan.schedule.segments) == 1
    shutil.rmtree(copy / "last")  # by the report alone
    assert read_run_settings(copy)[0]["training"]["steps"] == 32


def test_what_is_no_config_of_a_run_is_refused(names_run: hornbook.Run, tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "config.json", names_run.path / "report.json"):
        with pytest.raises(RunError, match=r"found no config.json, expected a run directory"):
            read_run_settings(path)
    assert not is_run_config(tmp_path / "settings.toml")
