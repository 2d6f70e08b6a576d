"""The runs below a directory, and their removal. Reads JSON alone: no model, no weights, no torch."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hornbook.config.sections import TrainingConfig
from hornbook.errors import RunError
from hornbook.files import read_json, user_path
from hornbook.runs.lock import HOLDER, NAME, Lock, is_held
from hornbook.runs.position import saved_step, saved_total
from hornbook.runs.schema import Facts, Report, checked, migrated

DEPTH = 3  # levels of directories below the one that is listed: a sweep, a setting, its seeds
CONTENTS = {  # what hornbook writes into a run directory
    "config.json", "tokenizer.json", "model.safetensors", "log.jsonl", "last", "report.json",
    "probes.jsonl", "samples.jsonl", "inspect", "adapter", NAME, HOLDER,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class RunSummary:
    """A run in a few figures.

    name: its path below the directory that is listed. steps: that are done. nats, bits_per_byte: of the
    validation part, None where it is not finished, or infinite, or not trained here (`imported`).
    standard_error: of nats. held: by a process that trains it.
    """

    path: Path
    name: str
    model: str
    n_parameters: int
    corpus: str
    sha256: str
    created: str
    steps: int
    total_steps: int
    finished: bool
    held: bool
    nats: float | None = None
    standard_error: float | None = None
    bits_per_byte: float | None = None
    seconds: float | None = None
    imported: bool = False


def read_summary(path: Path, name: str = "") -> RunSummary:
    """The summary of a run directory. Raises RunError where it is none, or is damaged."""
    file = path / "config.json"
    if not user_path(file, RunError).is_file():
        raise RunError(f"{path}: found no config.json, expected a run directory")
    facts = migrated(file, read_json(file))
    checked(file, facts, Facts)
    report = {}
    if os.path.lexists(path / "report.json"):
        report = read_json(path / "report.json")
        checked(path / "report.json", report, Report)
    config, validation = facts["config"], report.get("validation", {})
    planned = config.get("training", {}).get("steps") or TrainingConfig().steps
    done = report["steps"] if report else saved_step(path) or 0
    return RunSummary(
        path=path,
        name=name or path.name,
        model=str(config.get("model", {}).get("name")),
        n_parameters=facts["n_parameters"],
        corpus=facts["corpus"]["name"],
        sha256=facts["corpus"]["sha256"],
        created=facts["created"],
        steps=done,
        total_steps=done if report else saved_total(path) or planned,
        finished=bool(report),
        held=is_held(path),
        nats=validation.get("nats"),
        standard_error=validation.get("standard_error"),
        bits_per_byte=validation.get("bits_per_byte"),
        seconds=report.get("seconds"),
        imported=facts.get("imported") is not None,
    )


def list_runs(folder: str | Path) -> tuple[list[RunSummary], list[str]]:
    """The runs in a directory and below it, by name, and why other directories are left out.

    Raises RunError where there is no such directory.
    """
    folder = user_path(folder, RunError)
    if not folder.is_dir():
        found = "a file" if folder.exists() else "nothing"
        raise RunError(f"{folder}: found {found}, expected a directory of runs")
    summaries: list[RunSummary] = []
    others: list[str] = []
    for path in _directories(folder, DEPTH):
        try:
            summaries.append(read_summary(path, str(path.relative_to(folder))))
        except RunError as error:
            others.append(str(error))
    return summaries, others


def runs_below(path: Path) -> list[Path]:
    """The run directories at or below a path."""
    if (path / "config.json").is_file():
        return [path]
    return [p for p in _directories(path, DEPTH) if (p / "config.json").is_file()]


def _directories(folder: Path, depth: int) -> Iterator[Path]:
    """The directories that may be runs: those with a config.json, and those that hold none of them;
    numbers in their names in order."""
    with suppress(OSError):  # one that cannot be read is left out
        below = (p for p in folder.iterdir() if p.is_dir() and p.name[0] != ".")
        for path in sorted(below, key=lambda p: _natural(p.name)):
            if depth == 1 or (path / "config.json").exists():
                yield path
                continue
            inside = _directories(path, depth - 1)
            yield from [p for p in inside if (p / "config.json").exists()] or [path]


def _natural(name: str) -> list[tuple[int, str]]:
    """A key that puts seed-2 before seed-10."""
    parts = re.split(r"([0-9]+)", name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def check_removable(path: Path) -> None:
    """Raises RunError where a path is no run, is being trained, or holds files of somebody else."""
    if path.is_symlink():
        raise RunError(f"{path}: is a link, expected a run directory; nothing was removed")
    try:
        read_summary(path)
    except RunError as error:
        raise RunError(f"{error}; nothing was removed") from None
    names = (p.name for p in path.iterdir() if not p.name.endswith(".partial"))
    if others := sorted(set(names) - CONTENTS):
        raise RunError(
            f"{path}: found {others[0]}, which hornbook did not write; move it away first. Nothing "
            "was removed"
        )


def remove_run(path: Path) -> None:
    """Removes a run directory, whole or not at all. Raises RunError as `check_removable` does."""
    check_removable(path)
    with Lock(path):
        doomed = path.with_name(f".{path.name}.{os.getpid()}.removed")
        with suppress(OSError):  # Windows renames no directory with an open file in it
            path.rename(doomed)
        left = doomed if doomed.exists() else path
        try:
            shutil.rmtree(left)
        except OSError as error:
            raise RunError(f"{left}: cannot be removed whole ({error.strerror})") from None
