"""What `last/` keeps: the newest state to resume from, and the one before in case it is damaged.

A state is one safetensors file: the tensors of a step, pending losses and generators, with the
position as JSON in its metadata, under one checksum. `state.json` names the newest and is written last.
Of sharded weights each rank writes such a file with its rows (`parallel/states.py`); the state is named
by the first of them.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hornbook.engine.step import OptimizerStep
from hornbook.errors import RunError
from hornbook.files import (
    Header,
    dump,
    read_json,
    read_tensors,
    remove_partial_files,
    sync,
    write_json,
    write_tensors,
)
from hornbook.parallel.ranks import SINGLE, Ranks
from hornbook.parallel.shards import replicas_of
from hornbook.parallel.states import (
    Shard,
    first_file,
    read_rows,
    shard_file,
    shard_files,
    write_rows,
)
from hornbook.runs.position import STATE
from hornbook.runs.schema import Pointer, Position, checked
from hornbook.training.history import ValidationHistory
from hornbook.training.state import TrainingState

POINTER = "state.json"
FORMAT = 2  # of the pointer
OWN = ("rng.", "pending")  # tensors that are not of the optimizer step


def save_state(path: Path, step: OptimizerStep, state: TrainingState) -> None:
    """Saves a state; it and the one before it that is known to be whole are kept.

    Raises RunError where it cannot be written.
    """
    folder = _folder(path)
    name, before = _next_name(folder, state)
    write_tensors(folder / name, _tensors(step, state), {"position": _position(state)})
    _finish(folder, state, name, before)


def save_shards(path: Path, step: OptimizerStep, state: TrainingState, ranks: Ranks) -> None:
    """Saves a state of sharded weights; all ranks call this, and each saves its rows.

    Raises RunError where a file cannot be written.
    """
    assert step.sharded is not None

    def begin() -> dict[str, Any]:
        name, before = _next_name(_folder(path), state)
        return {"name": name, "before": before, "save": secrets.token_hex(8)}

    found = ranks.on_first(begin)
    name: str = found["name"]
    folder, shard = path / "last", step.sharded.shard
    count = ranks.world_size // replicas_of(step.config.training.replicas, ranks.world_size)
    first = shard_file(folder / name, 0, count)
    if shard is not None:
        facts = Shard(index=shard[0], count=count, save=found["save"])
        file = shard_file(folder / name, shard[0], count)
        write_rows(file, _tensors(step, state), facts, {"position": _position(state)})
    ranks.barrier()
    if ranks.is_first:
        _finish(folder, state, first.name, found["before"])
    state.file = first.name


def _folder(path: Path) -> Path:
    """The directory of the states, made where it is not there."""
    folder = path / "last"
    if not folder.is_dir() or folder.is_symlink():
        try:
            folder.mkdir()
        except OSError as error:
            raise RunError(f"{folder}: cannot be made ({error.strerror})") from None
        sync(path)
    return folder


def _tensors(step: OptimizerStep, state: TrainingState) -> dict[str, Tensor]:
    tensors = step.state_tensors()
    tensors |= {name: generator.get_rng_state() for name, generator in _generators().items()}
    if state.pending:
        tensors["pending"] = torch.stack([torch.stack(pair) for pair in state.pending])
    if state.folded[0]:
        tensors["pending.folded"] = torch.tensor(state.folded, dtype=torch.float64, device="cpu")
    return tensors


def _position(state: TrainingState) -> str:
    position = {
        "step": state.step,
        "tokens": state.tokens,
        "seconds": state.seconds,
        "records": state.records,
        "steps": state.total_steps,
        "schedule": [list(segment) for segment in state.schedule.segments],
        "overrides": dict(state.overrides),
        "watch": state.history.to_json(),
    }
    return dump(position)


def _next_name(folder: Path, state: TrainingState) -> tuple[str, str | None]:
    """The name of the state to be written, which no other has, and the one to be kept beside it."""
    number = next((n for at, n in map(_order, _files(folder)) if at == state.step), -1) + 1
    return f"state-{state.step:08d}-{number}.safetensors", _older(folder, state, state.step)


def _finish(folder: Path, state: TrainingState, name: str, before: str | None) -> None:
    """Names a state that is written as the newest, and removes those before `before`."""
    _write_pointer(folder, state.step, name, before, state.total_steps)
    state.file = name
    for old in folder.glob("state-*.safetensors"):
        if first_file(old).name not in (name, before):
            with suppress(OSError):
                old.unlink()


def saved_steps(state: TrainingState) -> int | None:
    """The steps that the file of a state has behind it; None where it was never saved."""
    return None if state.file is None else _order(state.file)[0]


def _older(folder: Path, state: TrainingState, step: int) -> str | None:
    """The newest state of fewer than `step` steps; the one known to be whole where it is."""
    saved = saved_steps(state)
    if saved is not None and saved < step:
        return state.file
    return next((name for name in _files(folder) if _order(name)[0] < step), None)


def use_older_state(path: Path, state: TrainingState) -> int | None:
    """Makes a run resume from an older state than it would: the steps of that one, None without any.

    Nothing is removed, in case the older one turns out to be damaged.
    """
    folder = path / "last"
    older = _older(folder, state, saved_steps(state) or 0)
    if older is None:
        return None
    step = _order(older)[0]
    _write_pointer(folder, step, older, state.file, state.total_steps)
    return step


def _write_pointer(
    folder: Path, step: int, newest: str, before: str | None, total_steps: int
) -> None:
    pointer = {"format": FORMAT, "step": step, "newest": newest, "before": before}
    write_json(folder / POINTER, {**pointer, "total_steps": total_steps})


def has_state(path: Path) -> bool:
    """Whether anything was saved to resume from, even if it is damaged or its pointer is gone."""
    return (path / "last" / POINTER).exists() or any((path / "last").glob("state-*.safetensors"))


def read_position(path: Path) -> dict[str, Any]:
    """The position of the newest whole state; empty where there is none."""
    with suppress(RunError):
        for name, position in _states(path / "last"):
            with suppress(RunError):
                return _read(path / "last" / name, position)[0]
    return {}


def load_state(path: Path, step: OptimizerStep, state: TrainingState) -> str:
    """Puts a model, its optimizer, the generators and the state back; a message about damage, if any.

    Schedule and overrides are left alone: `training.changes` decides what the run continues with.
    Of sharded weights this is called on rank 0, and `load_with_first` on the others. Raises RunError
    where no state is whole.
    """
    folder = path / "last"
    states = list(_states(folder))
    remove_partial_files(folder)
    damage: list[str] = []
    ranks = step.ranks if step.sharded is not None else SINGLE
    for name, position in states:
        ranks.broadcast(str((folder / name).absolute()))
        failed: RunError | None = None
        try:
            _load(folder / name, position, step, state)
        except RunError as error:
            failed = error
        if ranks.any(failed is not None):
            damage.append(str(failed or f"{folder / name}: cannot be read on another rank"))
            continue
        state.file = name
        before = f". Resuming from the state before it, of step {state.step:,}"
        return "; ".join(damage) + before if damage else ""
    raise RunError(
        "\n".join(damage)
        or f"{folder}: found no state to resume from; train another run (another --out), or put it back"
    )


def load_with_first(step: OptimizerStep, ranks: Ranks) -> None:
    """Loads the rows of this rank of the state that `load_state` finds whole on rank 0, which calls
    this after it, and says that it is done."""
    while name := ranks.broadcast(""):
        failed = False
        try:
            tensors = _of_step(read_rows(shard_files(Path(name)), step.like))
            step.check_state_tensors(tensors)
            step.load_state_tensors(tensors)
        except RunError:
            failed = True
        ranks.any(failed)


def _states(folder: Path) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """The states of a run, newest first: names, and positions where the pointer has them (format 1)."""
    if folder.is_symlink():
        raise RunError(f"{folder}: is a link, expected a directory; a run holds its own files")
    pointer: dict[str, Any] = {}
    with suppress(RunError):
        pointer = read_json(folder / POINTER)
    if type(pointer.get("format")) is int and pointer["format"] > FORMAT:
        raise RunError(
            f"{folder / POINTER}: found format {pointer['format']}, expected {FORMAT} or older; "
            "install a newer hornbook to resume it"
        )
    if "file" in pointer:
        keys = ("step", "tokens", "seconds", "records", "watch")
        name = Path(str(pointer["file"])).name
        if STATE.fullmatch(name):
            yield name, {key: pointer.get(key) for key in keys}
        return
    names: list[str] = []
    with suppress(RunError, LookupError, TypeError):  # without a pointer the newest come first
        if pointer.get("format") == FORMAT:
            checked(folder / POINTER, pointer, Pointer)
        names = [Path(name).name for name in (pointer["newest"], pointer["before"]) if name]
    every = dict.fromkeys([*names, *_files(folder)])
    yield from ((name, None) for name in every if STATE.fullmatch(name))


def _files(folder: Path) -> list[str]:
    """The names of the states in a folder, newest first."""
    names = {first_file(path).name for path in folder.glob("state-*.safetensors")}
    return sorted(filter(STATE.fullmatch, names), key=_order, reverse=True)


def _order(name: str) -> tuple[int, int]:
    """The steps of a state, and its number among those of the same; format 1 has one of each."""
    _, step, *number = name.partition(".")[0].split("-")
    return int(step), int(number[0]) if number else -1


def _read(
    file: Path, position: dict[str, Any] | None, step: OptimizerStep | None = None
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The position and the tensors of a state, which are checked to be those of a step, if it is given.

    position: where the pointer has it (format 1). Of sharded weights the tensors are the rows of this
    rank.
    """
    files = shard_files(file)
    by_rows = len(files) > 1 or (step is not None and step.sharded is not None)

    def check_header(header: Header) -> None:
        nonlocal position
        if position is None:
            position = json.loads(header.metadata["position"])
        checked(file, position, Position)
        if step is not None and not by_rows:
            step.check_state_tensors(_of_step(header.tensors))

    if not by_rows:
        tensors = read_tensors(file, check_header)
    else:
        tensors = read_rows(files, step.like if step else lambda _: None, check_header)
        if step is not None:
            try:
                step.check_state_tensors(_of_step(tensors))
            except RunError as error:
                raise RunError(f"{file}: {error}") from None
    assert position is not None
    return position, tensors


def _of_step(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in tensors.items() if not name.startswith(OWN)}


def _load(
    file: Path, position: dict[str, Any] | None, step: OptimizerStep, state: TrainingState
) -> None:
    position, tensors = _read(file, position, step)
    try:
        step.load_state_tensors(_of_step(tensors))
        for name, generator in _generators().items():
            if name in tensors or name == "rng.cpu":
                generator.set_rng_state(tensors[name])
        pairs = tensors.get("pending", torch.empty(0, 2, dtype=torch.float32, device="cpu"))
        folded = tensors.get("pending.folded", torch.zeros(3, dtype=torch.float64, device="cpu"))
        if (
            pairs.shape[1:] != (2,)
            or folded.shape != (3,)
            or not bool(folded.isfinite().all())
            or not 0 <= folded[0] <= position["step"] - len(pairs)
        ):
            raise ValueError("losses since the last record that cannot be")
        state.history = ValidationHistory.from_json(position["watch"])
        state.step, state.tokens = position["step"], position["tokens"]
        state.seconds, state.records = position["seconds"], position["records"]
        state.pending = [(loss, norm) for loss, norm in pairs.to(step.model.device)]
        state.folded = float(folded[0]), float(folded[1]), float(folded[2])
    except RunError as error:
        raise RunError(f"{file}: {error}") from None
    except (KeyError, TypeError, ValueError, RuntimeError, IndexError) as error:
        raise RunError(f"{file}: damaged: {error}") from None


def _generators() -> dict[str, Any]:
    """What training draws random numbers from: modules of torch."""
    generators: dict[str, Any] = {"rng.cpu": torch}
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        generators["rng.cuda"] = torch.cuda
    if torch.backends.mps.is_available():
        generators["rng.mps"] = torch.mps
    return generators
