"""What may be changed when a run is resumed: total steps, learning rates and clipping."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

import torch

from hornbook.config import Nested, RunConfig, TrainingConfig, merge
from hornbook.errors import ConfigError, RunError, counted
from hornbook.models.registry import parse_run_config
from hornbook.optim.schedules import Schedule, Segment, read_segments
from hornbook.runs.commands import start_command
from hornbook.runs.directory import StoredRun
from hornbook.runs.schema import Changeable
from hornbook.training.checkpoint import read_position

CHANGEABLE: tuple[str, ...] = get_args(Changeable)


@dataclass(frozen=True, kw_only=True)
class ChangedRun:
    """A run's settings with what was changed on resuming, now or earlier.

    config.json is not rewritten: overrides and schedule are kept with the state. changed: they differ
    from those of the newest state. extended: the run takes more steps than that says.
    """

    config: RunConfig
    schedule: Schedule
    overrides: Mapping[str, float]
    changed: bool
    extended: bool
    notes: tuple[str, ...]


def changed_run(run: StoredRun, steps: Any, settings: Nested) -> ChangedRun:
    """Applies changes to a run. Raises ConfigError for those that are not possible."""
    if "corpus" in settings.get("data", {}):
        raise ConfigError(
            "data.corpus: found it beside --resume; a run continues on its own text. To train it "
            f"further on another text: {start_command(run.path, settings['data']['corpus'])}"
        )
    for section, fields in settings.items():
        others = sorted(fields) if section != "optim" else sorted(fields.keys() - set(CHANGEABLE))
        if others:
            raise ConfigError(
                f"{section}.{others[0]}: found it beside --resume; a run resumes with its own "
                f"settings, only --steps and optim.{', optim.'.join(CHANGEABLE)} can be changed"
            )
    position = read_position(run.path)
    new = settings.get("optim", {})
    saved = position.get("overrides", {})
    config = parse_run_config(merge(run.config.model_dump(), {"optim": {**saved, **new}}))
    overrides = {name: getattr(config.optim, name) for name in {**saved, **new}}
    notes = [f"optim.{name} is {overrides[name]} from here on" for name in new]
    schedule = Schedule(config.optim, _segments(run, position))
    done, before = position.get("step", 0), schedule.total_steps
    if steps is not None:
        total = TrainingConfig.parse({"steps": steps}, "training").steps
        if total < done:
            raise ConfigError(
                f"steps: found {total}, fewer than the {counted(done, 'step')} that were made; "
                f"--steps is the total, give {done} or more"
            )
        if total != before:
            notes.append(
                f"{counted(total, 'step')} instead of {before:,}: the learning rate follows the "
                "schedule of the new total from here on"
            )
            schedule = Schedule.planned(config.optim, total)
    if config.training.minutes is not None:
        notes.append(
            f"its time budget of {counted(config.training.minutes, 'minute')} is over: "
            f"{counted(schedule.total_steps, 'step')} in total"
        )
    version = run.facts["versions"].get("torch")
    if version not in (None, torch.__version__):
        notes.append(
            f"torch {version} before, {torch.__version__} now: sums may be rounded differently, "
            "so the run may not equal one without a stop bit for bit"
        )
    planned = position.get("steps") or run.config.training.steps
    return ChangedRun(
        config=config,
        schedule=schedule,
        overrides=overrides,
        changed=bool(new) or schedule.total_steps != before,
        extended=schedule.total_steps > planned,
        notes=tuple(notes),
    )


def _segments(run: StoredRun, position: Mapping[str, Any]) -> tuple[Segment, ...]:
    """The schedule that a run continues with: of its state, else as it was planned."""
    saved = position.get("schedule") or run.facts.get("schedule")
    if not saved:
        return (Segment(0, 0.0, run.config.training.steps),)
    try:
        return read_segments(saved)
    except ValueError:
        raise RunError(f"{run.path}: damaged: found {saved} as its schedule") from None
