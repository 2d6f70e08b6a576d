"""The settings of a run that exists, with which another run repeats it."""

from __future__ import annotations

import os
from pathlib import Path

from hornbook.config import Nested
from hornbook.config.sections import LENGTHS
from hornbook.errors import RunError
from hornbook.files import read_json, user_path
from hornbook.runs.schema import Facts, Report, checked, migrated


def is_run_config(path: Path) -> bool:
    """Whether a path is a run directory or the config.json of one, rather than a TOML file."""
    return os.path.isdir(path) or path.suffix == ".json"


def read_run_settings(path: Path) -> tuple[Nested, str]:
    """All settings of a run, with everything that was decided for it, and the sha256 of its corpus.

    path: a run directory or its config.json. Its steps are given as they were made, not as epochs or
    minutes, whose steps depend on the text and the machine. Raises RunError.
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
    if schedule := report.get("schedule") or facts.get("schedule"):
        settings.setdefault("optim", {})["paces"] = schedule
    return settings, facts["corpus"]["sha256"]
