"""The training state in `last/`: weights, optimizer, generators, position, what was best.

`last/state-<step>.safetensors` holds the tensors, `last/state.json` names it and is written last, so
there is always one whole state. It is saved before each evaluation; one that was not finished is made
again. Batches and schedule are functions of the step and need no state.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hornbook.errors import RunError
from hornbook.files import read_json, write_json
from hornbook.run import read_tensors, write_tensors
from hornbook.training.step import TrainStep
from hornbook.training.watch import Watch


@dataclass
class Progress:
    """Where a run stands: updates done, tokens seen, seconds spent on updates, what was best.

    pending: (loss, norm of the gradient) of the updates since the last record of the log.
    records: entries in the log; what stands after them is going to be made again.
    """

    watch: Watch
    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    records: int = 0
    pending: list[tuple[Tensor, Tensor]] = field(default_factory=list)


def save_state(path: Path, step: TrainStep, progress: Progress) -> None:
    """Saves the state of a run directory; the one before it is removed only then."""
    folder = path / "last"
    folder.mkdir(exist_ok=True)
    tensors: dict[str, Tensor] = {
        f"model.{name}": tensor for name, tensor in step.model.state_dict().items()
    }
    for index, state in step.optimizer.state_dict()["state"].items():
        for name, value in state.items():
            if value is not None:
                tensors[f"optim.{index}.{name}"] = torch.as_tensor(value)
    tensors["rng.cpu"] = torch.get_rng_state()
    if progress.pending:
        tensors["pending"] = torch.stack([torch.stack(pair) for pair in progress.pending])
    if step.model.device.type == "cuda":
        tensors["rng.cuda"] = torch.cuda.get_rng_state()
    name = f"state-{progress.step:08d}.safetensors"
    write_tensors(folder / name, tensors)
    state = {
        "file": name,
        "step": progress.step,
        "tokens": progress.tokens,
        "seconds": progress.seconds,
        "records": progress.records,
        "watch": progress.watch.to_json(),
    }
    write_json(folder / "state.json", state)
    for old in folder.glob("state-*.safetensors"):
        if old.name != name:
            old.unlink()


def load_state(path: Path, step: TrainStep) -> Progress:
    """Puts a model, its optimizer and the generators back. Raises RunError where it cannot."""
    pointer = path / "last" / "state.json"
    if not pointer.exists():
        raise RunError(f"{path}: found no state to resume from (last/state.json)")
    facts: dict[str, Any] = read_json(pointer)
    try:
        tensors = read_tensors(path / "last" / Path(str(facts["file"])).name)
        weights = {n.removeprefix("model."): t for n, t in tensors.items() if n[:6] == "model."}
        step.model.load_weights(weights)
        states: dict[int, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            if name.startswith("optim."):
                _, index, key = name.split(".", 2)
                states.setdefault(int(index), {})[key] = tensor
        whole = step.optimizer.state_dict()
        step.optimizer.load_state_dict({**whole, "state": states})
        torch.set_rng_state(tensors["rng.cpu"])
        if "rng.cuda" in tensors and torch.cuda.is_available():
            torch.cuda.set_rng_state(tensors["rng.cuda"])
        return Progress(
            Watch.from_json(facts["watch"]),
            int(facts["step"]),
            int(facts["tokens"]),
            float(facts["seconds"]),
            int(facts["records"]),
            [(pair[0], pair[1]) for pair in tensors.get("pending", ())],
        )
    except RunError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"{path}/last: damaged: {error}") from None
