"""Small runs whose bits do not depend on how busy the machine is, and callbacks that act at a step."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hornbook.files import read_tensors, write_tensors
from hornbook.models.registry import MODELS
from hornbook.planning.describe import describe, facts
from hornbook.planning.plan import Plan
from hornbook.runs.directory import StoredRun, create
from hornbook.runs.lock import Lock
from hornbook.training.callbacks.base import Callback, TrainerBase
from hornbook.training.callbacks.logging import MEASURED
from hornbook.training.loop import Trainer
from tests.conftest import TINY

PINNED = {"precision": "fp32", "threads": 1, "compile": "no"}  # nothing is measured

SETTINGS: dict[str, Any] = {
    "model": {"n_layer": 1, "n_head": 2, "n_kv_head": 2, "n_embd": 8, "n_hidden": 8},
    "training": {"steps": 12, "batch_size": 8, "eval_count": 3, "sample_count": 0, **PINNED},
}


def small(name: str, **training: Any) -> dict[str, Any]:
    """Settings of a small run of any model."""
    fields = MODELS[name].config.model_fields
    return {
        "model": {field: size for field, size in TINY.items() if field in fields},
        "training": {
            "steps": 12, "batch_size": 8, "eval_count": 3, "sample_count": 1, **PINNED, **training,
        },
    }  # fmt: skip


class Clock:
    """Seconds that pass only where a test says so."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


class At(Callback):
    """Does something right before a step."""

    def __init__(self, step: int, do: Callable[[TrainerBase], object]) -> None:
        self.step, self.do = step, do

    def pre_step(self, step: int) -> None:
        if step == self.step:
            self.do(self.trainer)


class After(Callback):
    """Does something right after so many steps."""

    def __init__(self, n: int, do: Callable[[TrainerBase], object]) -> None:
        self.n, self.do = n, do

    def post_step(self, step: int) -> None:
        if step + 1 == self.n:
            self.do(self.trainer)


class Crash(Callback):
    """Dies right after an evaluation was written to the log."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_log(self, record: Mapping[str, Any]) -> None:
        if record["step"] == self.step:
            raise KeyboardInterrupt


class Listen(Callback):
    """Keeps what was said, the plan among it."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.records: list[dict[str, Any]] = []
        self.samples: list[tuple[int, list[str]]] = []
        self.totals: list[int] = []

    def on_plan(self, plan: Plan) -> None:
        self.heard += [how for _, how in describe(plan)]

    def on_log(self, record: Mapping[str, Any]) -> None:
        self.records.append(dict(record))

    def on_samples(self, step: int, texts: Sequence[str]) -> None:
        self.samples.append((step, list(texts)))

    def on_message(self, message: str) -> None:
        self.heard.append(message)

    def on_total_steps(self, total_steps: int) -> None:
        self.totals.append(total_steps)

    def says(self, *parts: str) -> bool:
        """Whether one message has all these parts."""
        return any(all(part in line for part in parts) for line in self.heard)


def overflow(trainer: TrainerBase) -> None:
    """Weights that are finite, with which the loss is not."""
    for parameter in trainer.step.model.parameters():
        parameter.data.fill_(1e30)


def stop(_: object = None) -> None:
    """Ctrl-C."""
    signal.raise_signal(signal.SIGINT)


def die(_: object = None) -> None:
    """As if killed: nothing is saved."""
    raise KeyboardInterrupt


def states(path: Path) -> list[Path]:
    """The states of a run, oldest first."""
    return sorted((path / "last").glob("state-*.safetensors"))


def state_steps(path: Path) -> list[int]:
    """The steps of the states of a run."""
    return [int(place.name.split("-")[1].split(".")[0]) for place in states(path)]


def without_times(log: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Records without what depends on the machine."""
    return [{k: v for k, v in record.items() if k not in MEASURED} for record in log]


def tensors_of(path: Path) -> dict[str, bytes]:
    """The best weights and the newest state of a run, as bytes."""
    files = {"best": path / "model.safetensors", "last": states(path)[-1]}
    return {
        f"{which}/{name}": tensor.numpy(force=True).tobytes()
        for which, file in files.items()
        for name, tensor in read_tensors(file).items()
    }


@contextmanager
def trainer_of(
    plan: Plan, path: Path, callbacks: Sequence[Callback], **more: Any
) -> Iterator[Trainer]:
    """A trainer of a new run, with no callbacks but these."""
    run = create(path, facts(plan, plan.shape.n_parameters), plan.config, plan.data.tokenizer)
    with Lock(path) as lock:
        yield Trainer(plan, StoredRun(path, run.facts, run.config), lock, callbacks, **more)


def rewrite_position(state: Path, **changes: Any) -> None:
    """Changes what a state says of itself; its checksum is right again."""
    metadata: dict[str, str] = {}
    tensors = read_tensors(state, lambda header: metadata.update(header.metadata))
    position = {**json.loads(metadata["position"]), **changes}
    write_tensors(state, tensors, {"position": json.dumps(position)})
