"""What rank 0 decides and tells the others, so that all of them train the same run.

It alone reads the request, measures, makes the run directory and reads its states. The others get the
facts of the run, by which they plan as on resuming: nothing is decided twice.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from hornbook.config import RunConfig
from hornbook.data.sources.standard_input import STDIN
from hornbook.data.training_data import tokenize
from hornbook.errors import ConfigError, RunError
from hornbook.models.registry import parse_run_config
from hornbook.optim.schedules import Schedule, read_segments
from hornbook.parallel.ranks import Ranks
from hornbook.planning.decide.size import SIZE_FIELDS
from hornbook.planning.plan import Plan
from hornbook.planning.request import Request
from hornbook.planning.resume import plan_of_run
from hornbook.planning.start import start_again
from hornbook.runs.directory import StoredRun, is_run
from hornbook.runs.schema import Facts, checked
from hornbook.tokenizers.registry import tokenizer_of
from hornbook.training.callbacks.base import TrainerBase
from hornbook.training.checkpoint import load_with_first
from hornbook.training.history import ValidationHistory
from hornbook.version import __version__

CHOSEN = {"tokenizer": ("kind", "vocab_size")}  # written otherwise in a run
PATHS = {"data": ("corpus",), "finetuning": ("base",)}  # absolute in a run


def told(plan: Plan, run: StoredRun, *, resumed: bool, changed: bool) -> dict[str, Any]:
    """What the other ranks need to train a run that rank 0 has planned, as plain data.

    resumed: from a state. changed: settings or steps are others than in it.
    """
    return {
        "finished": False,
        "versions": versions(),
        "path": str(run.path.absolute()),
        "facts": dict(run.facts),
        "config": plan.config.model_dump(mode="json"),
        "tokenizer": plan.data.tokenizer.to_json(),
        "segments": [list(segment) for segment in plan.schedule.segments],
        "old_text": plan.start is not None and plan.start.old is not None,
        "hardware": {
            "threads": plan.threads,
            "precision": plan.precision,
            "compiled": plan.compiled,
            "ranks": plan.ranks.world_size,
            "parallel": plan.parallel,
        },
        "resumed": resumed,
        "changed": changed,
    }


def versions() -> dict[str, str]:
    """What all ranks need alike to compute the same."""
    return {"hornbook": __version__, "torch": torch.__version__}


def check_alike(message: Mapping[str, Any], request: Request | None) -> None:
    """Raises RunError where this rank has other libraries than rank 0, ConfigError where it was started
    with other settings than the run has. request: of a new run."""
    for name, version in versions().items():
        if version != message["versions"][name]:
            raise RunError(
                f"found {name} {version}, but rank 0 has {message['versions'][name]}; install the same "
                "on all machines"
            )
    if request is not None and (found := other_setting(message["config"], request)) is not None:
        name, own, requested = found
        raise ConfigError(
            f"{name}: found {requested!r} requested, but rank 0 trains with {own!r}; start all ranks "
            "with the same command"
        )


def finished_as_told(run: StoredRun) -> dict[str, Any]:
    """That there is nothing left to train, as plain data."""
    return {"finished": True, "path": str(run.path.absolute()), "facts": dict(run.facts)}


def run_as_told(message: Mapping[str, Any]) -> StoredRun:
    """The run of rank 0 on another rank, whose machine may not have its directory."""
    facts = message["facts"]
    return StoredRun(Path(message["path"]), facts, parse_run_config(facts["config"]))


def planned_as_told(ranks: Ranks, message: Mapping[str, Any]) -> tuple[Plan, StoredRun]:
    """The plan and the run of another rank than 0, which finds the tokens in the cache.

    What it begins from is read here too, but for its weights, which rank 0 sends. Raises RunError where
    that has no text here, and has one on rank 0: both replay it or evaluate it together.
    """
    config: RunConfig = parse_run_config(message["config"])
    facts = {
        **message["facts"],
        "hardware": {**message["facts"]["hardware"], **message["hardware"]},
    }
    path = Path(message["path"])
    checked(path, facts, Facts)
    run = StoredRun(path, facts, config)
    tokenizer = tokenizer_of(message["tokenizer"], run.document_end)
    data = tokenize(run.corpus(), config.data, tokenizer, config.finetuning.unknown)
    schedule = Schedule(config.optim, read_segments(message["segments"]))
    start, notes = start_again(run, tokenizer, begun=True)
    if (start is not None and start.old is not None) != message["old_text"]:
        why = "; ".join(notes) or f"{config.finetuning.base}: its text is not used on rank 0"
        raise RunError(f"{why}. All ranks need the base and its text: put them back")
    return plan_of_run(config, facts, data, schedule, start=start, ranks=ranks), run


def earlier_run(request: Request, out: Path | None, *, overwrite: bool = False) -> Path | None:
    """The run that a launch by torchrun goes on with: the one in `out`, or the one that it made before
    it was restarted; None where it begins one. overwrite: of a run in `out`, only that one.

    Raises ConfigError where the run in `out` has other settings than are requested.
    """
    launch = request.ranks.launch

    def is_own(path: Path) -> bool:
        with suppress(RunError):
            return (
                bool(launch.restarts) and StoredRun.load(path).facts.get("launch") == launch.run_id
            )
        return False

    if out is not None:
        if not is_run(out) or (overwrite and not is_own(out)):
            return None
        _check_same(StoredRun.load(out), request)
        return out
    if not launch.restarts:
        return None
    return next((p.parent for p in Path("runs").glob("*/config.json") if is_own(p.parent)), None)


def _check_same(run: StoredRun, request: Request) -> None:
    """Raises ConfigError where a setting is requested that a run does not have."""
    if (found := other_setting(run.config.model_dump(mode="json"), request)) is not None:
        name, own, requested = found
        raise ConfigError(
            f"{run.path}: exists already, with {name} {own!r}, found {requested!r} "
            "requested; give another directory (--out), or leave the setting as it was"
        )


def other_setting(own: Mapping[str, Any], request: Request) -> tuple[str, Any, Any] | None:
    """The first setting that is requested and is another one in the settings of a run: its name, the
    value of the run and the requested one."""
    for section, fields in request.settings.items():
        for field, value in fields.items():
            if field in CHOSEN.get(section, ()):
                continue
            found = own[section].get(field)
            if field in PATHS.get(section, ()) and _same_place(str(value), str(found)):
                continue
            if (section, field) == ("data", "files") and _same_places(value, found):
                continue
            if found != value and str(found) != str(value):
                return f"{section}.{field}", found, value
    minutes = request.requested("training", "minutes") is not None  # then hornbook chooses the size
    preset = {} if minutes else request.base.get("model", {})
    for field in ("name", *sorted(SIZE_FIELDS - {"context_length"})):
        value, found = preset.get(field), own["model"].get(field)
        if value not in (None, found) and request.requested("model", field) is None:
            return f"model.{field}", found, f"{value} (preset {request.preset})"
    return None


def _same_place(requested: str, found: str) -> bool:
    """Whether a path is that of a run, which may have moved since: then another one is accepted, and
    what is there is known by its sha256."""
    if requested == STDIN or (Path(found).is_absolute() and not os.path.exists(found)):
        return True
    return Path(requested).expanduser().resolve() == Path(found)


def _same_places(requested: Sequence[object], found: Sequence[object] | None) -> bool:
    """Whether further files are those of a run, in the same order."""
    found = found or ()
    return len(requested) == len(found) and all(
        _same_place(str(one), str(other)) for one, other in zip(requested, found, strict=True)
    )


def share_state(trainer: TrainerBase) -> None:
    """Puts the trainers of all ranks where that of rank 0 is, after it has read a state."""
    ranks, state = trainer.ranks, trainer.state
    if not ranks.many:
        return
    position = {
        "step": state.step,
        "tokens": state.tokens,
        "seconds": state.seconds,
        "records": state.records,
        "segments": [list(segment) for segment in state.schedule.segments],
        "overrides": dict(state.overrides),
        "history": state.history.to_json(),
        "folded": list(state.folded),
        "losses": state.losses,
        "recorded": state.recorded,
        "stopped": state.stopped,
    }
    sharded = trainer.step.sharded is not None
    if sharded:
        load_with_first(trainer.step, ranks)
    position = ranks.broadcast(position)
    tensors = {} if sharded else trainer.step.state_tensors()
    if state.pending:
        tensors["pending"] = torch.stack([torch.stack(pair) for pair in state.pending])
    tensors = ranks.broadcast_tensors(tensors)
    if ranks.is_first:
        return
    pairs = tensors.pop("pending", torch.empty(0, 2))
    if not sharded:
        trainer.step.load_state_tensors(tensors)
    state.step, state.tokens = position["step"], position["tokens"]
    state.seconds, state.records = position["seconds"], position["records"]
    state.schedule = Schedule(state.schedule.config, read_segments(position["segments"]))
    state.overrides, state.losses = position["overrides"], position["losses"]
    state.history = ValidationHistory.from_json(position["history"])
    state.folded = tuple(position["folded"])
    state.recorded, state.stopped = position["recorded"], position["stopped"]
    state.pending = [(loss, norm) for loss, norm in pairs]
