"""The training states in `last/`: weights, optimizer, generators, position, what was best.

`last/state-<step>-<n>.safetensors` is one whole state, with its position in the metadata, under one
checksum. `last/state.json` names the newest and the one before it, and is written last; others are
removed only then. So there is always a whole state, on a disk that holds three. A newest one that is
damaged is told, and the one before is taken: the same updates are made again, to the same result.
Batches and schedule are functions of the step and need no state.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hornbook.engine.step import TrainStep
from hornbook.errors import RunError
from hornbook.files import (
    Header,
    dump,
    read_json,
    read_tensors,
    sweep,
    sync,
    write_json,
    write_tensors,
)
from hornbook.runs.directory import STATE
from hornbook.runs.schema import FORMAT, Pointer, Position, checked
from hornbook.training.watch import Watch

POINTER = "state.json"
OWN = ("rng.", "pending")  # tensors that are not of the TrainStep


@dataclass
class Progress:
    """Where a run stands: updates done, tokens seen, seconds spent on updates, what was best.

    pending: (loss, norm of the gradient) of the updates since the last record of the log.
    folded: number of updates before those, since the record, and the sums of their figures.
    records: entries in the log; what stands after them is going to be made again.
    steps: the updates in all under which the state was saved; None where it does not say.
    file: the state it was loaded from, or last saved as, which is known to be whole.
    """

    watch: Watch
    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    records: int = 0
    pending: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    folded: tuple[float, float, float] = (0.0, 0.0, 0.0)
    steps: int | None = None
    file: str | None = None

    @property
    def saved(self) -> int | None:
        """The updates that the state in `file` has behind it."""
        return None if self.file is None else _order(Path(self.file))[0]


def save_state(path: Path, step: TrainStep, progress: Progress) -> None:
    """Saves a state; it and the one before it that is known to be whole are kept.

    Raises RunError where it cannot be written.
    """
    folder = path / "last"
    if not folder.is_dir() or folder.is_symlink():
        try:
            folder.mkdir()
        except OSError as error:
            raise RunError(f"{folder}: cannot be made ({error.strerror})") from None
        sync(path)
    tensors = {**step.state_tensors(), **_generators()}
    if progress.pending:
        tensors["pending"] = torch.stack([torch.stack(pair) for pair in progress.pending])
    if progress.folded[0]:
        tensors["pending.folded"] = torch.tensor(progress.folded, dtype=torch.float64)
    position = {
        "step": progress.step,
        "tokens": progress.tokens,
        "seconds": progress.seconds,
        "records": progress.records,
        "steps": step.config.training.steps,
        "watch": progress.watch.to_json(),
    }
    before = _older(folder, progress, progress.step)
    number = sum(1 for _ in folder.glob(f"state-{progress.step:08d}-*"))
    name = f"state-{progress.step:08d}-{number}.safetensors"
    while (folder / name).exists():
        number += 1
        name = f"state-{progress.step:08d}-{number}.safetensors"
    write_tensors(folder / name, tensors, {"position": dump(position)})
    pointer = {"format": FORMAT, "step": progress.step, "newest": name, "before": before}
    write_json(folder / POINTER, pointer)
    progress.file = name
    for old in folder.glob("state-*.safetensors"):
        if old.name not in (name, before):
            with suppress(OSError):
                old.unlink()


def _older(folder: Path, progress: Progress, step: int) -> str | None:
    """The newest state of fewer than `step` updates; the one known to be whole where it is."""
    if progress.saved is not None and progress.saved < step:
        return progress.file
    names = [p for p in folder.glob("state-*.safetensors") if STATE.fullmatch(p.name)]
    older = [p for p in names if _order(p)[0] < step]
    return max(older, key=_order).name if older else None


def pass_over(path: Path, progress: Progress) -> int | None:
    """Has a run go on from an older state than it would: the updates of that one, None without any.

    Nothing is removed, in case the older one turns out to be damaged.
    """
    folder = path / "last"
    older = _older(folder, progress, progress.saved or 0)
    if older is None:
        return None
    step = _order(Path(older))[0]
    pointer = {"format": FORMAT, "step": step, "newest": older, "before": progress.file}
    write_json(folder / POINTER, pointer)
    return step


def has_state(path: Path) -> bool:
    """Whether anything was saved to resume from, whole or not, with a pointer or without."""
    return (path / "last" / POINTER).exists() or any((path / "last").glob("state-*.safetensors"))


def load_state(path: Path, step: TrainStep) -> tuple[Progress, str]:
    """Puts a model, its optimizer and the generators back, and what is to be told, if anything.

    Raises RunError where no state is whole.
    """
    folder = path / "last"
    if folder.is_symlink():
        raise RunError(f"{folder}: is a link, expected a directory; a run holds its own files")
    sweep(folder)
    damage: list[str] = []
    for name, position in _states(folder):
        try:
            progress = _load(folder / name, position, step)
            progress.file = name
        except RunError as error:
            damage.append(str(error))
            continue
        told = "; ".join(damage)
        if told:
            told += f". Going on from the state before it, of update {progress.step:,}"
        return progress, told
    raise RunError(
        "\n".join(damage)
        or f"{folder}: found no state to resume from; train anew (another --out), or put it back"
    )


def _states(folder: Path) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """The states of a run, newest first: names, and positions where the pointer has them (format 1)."""
    pointer: dict[str, Any] = {}
    with suppress(RunError):
        pointer = read_json(folder / POINTER)
    if type(pointer.get("format")) is int and pointer["format"] > FORMAT:
        raise RunError(
            f"{folder / POINTER}: found format {pointer['format']}, expected {FORMAT} or older; "
            "install a newer hornbook to go on with it"
        )
    try:
        if "file" in pointer:
            keys = ("step", "tokens", "seconds", "records", "watch")
            yield Path(str(pointer["file"])).name, {k: pointer.get(k) for k in keys}
            return
        if pointer.get("format") == FORMAT:
            checked(folder / POINTER, pointer, Pointer)
        names = [Path(name).name for name in (pointer["newest"], pointer["before"]) if name]
    except (RunError, LookupError, TypeError):
        names = []  # each state is whole in itself: the newest come first
    found = sorted(folder.glob("state-*.safetensors"), key=_order, reverse=True)
    every = dict.fromkeys([*names, *(p.name for p in found)])
    yield from ((name, None) for name in every if STATE.fullmatch(name))


def _order(path: Path) -> tuple[int, ...]:
    numbers = path.name.removesuffix(".safetensors").split("-")[1:]
    return tuple(int(n) if n.isdecimal() else -1 for n in numbers)


def _load(place: Path, position: dict[str, Any] | None, step: TrainStep) -> Progress:
    def check(header: Header) -> None:
        nonlocal position
        if position is None:
            position = json.loads(header.metadata["position"])
        checked(place, position, Position)
        own = {n: t for n, t in header.tensors.items() if not n.startswith(OWN)}
        step.check_state_tensors(own)

    tensors = read_tensors(place, check)
    assert position is not None
    try:
        step.load_state_tensors({n: t for n, t in tensors.items() if not n.startswith(OWN)})
        _set_generators(tensors)
        pairs = tensors.get("pending", torch.empty(0, 2))
        folded = tensors.get("pending.folded", torch.zeros(3))
        if (
            pairs.shape[1:] != (2,)
            or folded.shape != (3,)
            or not bool(folded.isfinite().all())
            or not 0 <= folded[0] <= position["step"] - len(pairs)
        ):
            raise ValueError("losses since the last record that cannot be")
        return Progress(
            Watch.from_json(position["watch"]),
            position["step"],
            position["tokens"],
            position["seconds"],
            position["records"],
            [(loss, norm) for loss, norm in pairs.to(step.model.device)],
            (float(folded[0]), float(folded[1]), float(folded[2])),
            position.get("steps"),
        )
    except RunError as error:
        raise RunError(f"{place}: {error}") from None
    except (KeyError, TypeError, ValueError, RuntimeError, IndexError) as error:
        raise RunError(f"{place}: damaged: {error}") from None


def _generators() -> dict[str, Tensor]:
    """The states of the generators that training draws from."""
    states = {"rng.cpu": torch.get_rng_state()}
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        states["rng.cuda"] = torch.cuda.get_rng_state()
    if torch.backends.mps.is_available():
        states["rng.mps"] = torch.mps.get_rng_state()
    return states


def _set_generators(tensors: dict[str, Tensor]) -> None:
    torch.set_rng_state(tensors["rng.cpu"])
    if "rng.cuda" in tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(tensors["rng.cuda"])
    if "rng.mps" in tensors and torch.backends.mps.is_available():
        torch.mps.set_rng_state(tensors["rng.mps"])
