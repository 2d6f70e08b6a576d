"""The settings of a run that exists, with which another run repeats it."""

from __future__ import annotations

import os
from pathlib import Path

from hornbook.config import Nested, read_toml
from hornbook.config.sections import LENGTHS
from hornbook.errors import ConfigError, RunError
from hornbook.files import read_json, user_path
from hornbook.runs.position import saved_total
from hornbook.runs.schema import Facts, Report, checked, migrated


def read_config(path: Path | None) -> tuple[Nested, str | None]:
    """The settings of a TOML file, or of a run with the sha256 of its corpus; none without a path."""
    if path is None:
        return {}, None
    path = user_path(path, ConfigError)
    return read_run_settings(path) if is_run_config(path) else (read_toml(path), None)


def is_run_config(path: Path) -> bool:
    """Whether a path is a run directory or the config.json of one, rather than a TOML file."""
    return os.path.isdir(path) or path.suffix == ".json"


def read_run_settings(path: Path) -> tuple[Nested, str]:
    """All settings of a run, with everything that was decided for it, and the sha256 of its corpus.

    path: a run directory or its config.json. Its steps are given as they were made, not as epochs or
    minutes, whose steps depend on the text and the machine; those of a run that was extended are all of
    its steps, with the schedule of that length from the first step on. Raises RunError.
    """
    file = path / "config.json" if os.path.isdir(path) else path
    if file.name != "config.json" or not user_path(file, RunError).is_file():
        raise RunError(f"{path}: found no config.json, expected a run directory or a TOML file")
    facts = migrated(file, read_json(file))
    checked(file, facts, Facts)
    report_file = file.parent / "report.json"
    report = read_json(report_file) if os.path.lexists(report_file) else {}
    if report:
        checked(report_file, report, Report)
    settings = {section: dict(fields) for section, fields in facts["config"].items()}
    training = settings.setdefault("training", {})
    for name in LENGTHS[1:]:
        training.pop(name, None)
    hardware = facts["hardware"]
    training["precision"] = hardware["precision"]
    training["compile"] = "no" if hardware["compiled"] == "no" else "yes"
    if hardware["threads"]:
        training["threads"] = hardware["threads"]
    made, planned = report.get("steps") or 0, training.get("steps") or 0
    total = saved_total(file.parent) or max(made, planned) or None
    schedule = report.get("schedule") or facts.get("schedule")
    if schedule and schedule[-1][2] == total:
        settings.setdefault("optim", {})["paces"] = schedule
    elif total is not None:  # a count model is fitted in one pass, whatever its steps
        training["steps"] = total
    return settings, facts["corpus"]["sha256"]
