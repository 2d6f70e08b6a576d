"""What is fuzzed: everything that reads a run directory from a stranger, and how it is damaged."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import hornbook
from hornbook.api import Run
from hornbook.engine.step import OptimizerStep
from hornbook.errors import HornbookError, RunError
from hornbook.files import _header_digest  # a hostile file has a right checksum
from hornbook.planning.request import read_request
from hornbook.planning.resolve import resolve
from hornbook.training.changes import changed_run
from hornbook.training.checkpoint import load_state
from hornbook.training.history import ValidationHistory
from hornbook.training.state import TrainingState
from tests.training.helpers import PINNED

FILES = ("config.json", "tokenizer.json", "model.safetensors", "log.jsonl", "report.json",
         "last/state.json", "last/newest")  # fmt: skip
ODD: list[Any] = [None, True, -1, 0, 1, 2**31, 2**63, 10**30, 1e308, 0.5, "", "x", "../../etc/passwd",
                  "\0", "\ud800", "9" * 5000, [], [[]], {}, {"a": 1}]  # fmt: skip


class Target:
    """A small run in a folder, whose files are damaged one at a time and put back."""

    def __init__(self, folder: Path) -> None:
        words = folder / "words.txt"
        parts = ["ba", "ko", "mi", "tu", "re"]
        words.write_text("\n".join(a + b + c for a in parts for b in parts for c in parts))
        sizes = {"n_layer": 1, "n_head": 2, "n_kv_head": 1, "n_embd": 8, "n_hidden": 8}
        self.path = folder / "run"
        training = {"steps": 4, "batch_size": 4, "eval_count": 2, "sample_count": 0, **PINNED}
        settings = {"model": {**sizes, "context_length": 8}, "training": training}
        hornbook.train(str(words), out=self.path, settings=settings)
        self.run = Run.load(self.path)
        shutil.copytree(self.path, folder / "whole")
        newest = json.loads((self.path / "last" / "state.json").read_text())["newest"]
        self.files = {name: self.path / name.replace("newest", newest) for name in FILES}
        self.whole = {name: place.read_bytes() for name, place in self.files.items()}
        plan = resolve(read_request(str(words), settings=settings))
        self.state = TrainingState(plan.schedule, ValidationHistory())
        self.step = OptimizerStep(plan.build_model(), plan.build_batches(), plan.config)

    def read(self, name: str, raw: bytes) -> str:
        """Reads everything with one file replaced. The refusal in words, or "" if it was accepted.

        Anything but an error of hornbook's that names a file of the run is a finding.
        """
        place = self.files[name]
        place.write_bytes(raw)
        refused: HornbookError | None = None
        try:
            if name.startswith("last"):
                changed_run(self.run, None, {})
                load_state(self.path, self.step, self.state)
            else:
                run = Run.load(self.path)
                _ = run.tokenizer, run.log, run.report, run.model
                run.score("bako" if run.documents else "bako bako", unknown="skip")
        except HornbookError as error:
            refused = error
        finally:
            for other, content in self.whole.items():
                if other.startswith("last") or other == name:
                    self.files[other].write_bytes(content)
        if refused is None:
            return ""
        assert isinstance(refused, RunError), repr(refused)
        assert str(self.path) in str(refused), str(refused)
        assert len(str(refused)) < 5000
        return str(refused)


def mutated(raw: bytes, rng: random.Random) -> bytes:
    """Bytes with one to three mishaps."""
    data = bytearray(raw)
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(data) + 1)
        n = rng.choice([1, 1, 2, 8, 64, 4096])
        match rng.randrange(6):
            case 0:
                del data[at:]
            case 1 if data:
                data[min(at, len(data) - 1)] ^= 1 << rng.randrange(8)
            case 2:
                data[at : at + n] = rng.randbytes(n)
            case 3:
                data[at:at] = data[rng.randrange(len(data) + 1) :][:n]
            case 4:
                data[at : at + n] = bytes(n)
            case _:
                data[:8] = rng.choice([2**63 - 1, 2**64 - 1, len(data), 2**31, 0]).to_bytes(
                    8, "little"
                )
    return bytes(data)


def rewritten(raw: bytes, rng: random.Random) -> bytes:
    """A file of JSON, of lines of it, or of tensors, with one value replaced by an odd one; the
    checksum of tensors is made right again."""
    if raw[:1] == b"{" and raw.count(b"\n{") > 0 and raw[1:2] == b'"':
        lines = raw.splitlines()
        i = rng.randrange(len(lines))
        lines[i] = _replaced(lines[i], rng)
        return b"\n".join(lines) + b"\n"
    if raw[:1] == b"{":
        return _replaced(raw, rng)
    length = int.from_bytes(raw[:8], "little")
    header, data = json.loads(_replaced(raw[8 : 8 + length], rng)), raw[8 + length :]
    if isinstance(header.get("__metadata__"), dict):
        digest = _header_digest(header)
        digest.update(data)
        header["__metadata__"]["sha256"] = digest.hexdigest()
    head = json.dumps(header).encode()
    return len(head).to_bytes(8, "little") + head + data


def _replaced(raw: bytes, rng: random.Random) -> bytes:
    data = json.loads(raw)
    nodes: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        keys = list(node) if isinstance(node, dict) else range(len(node))
        for key in keys:
            nodes.append((node, key))
            if isinstance(node[key], dict | list):
                walk(node[key])

    walk(data)
    node, key = rng.choice(nodes)
    action: list[Callable[[], Any]] = [
        lambda: node.__setitem__(key, rng.choice(ODD)),
        lambda: node.__delitem__(key),
        lambda: node.__setitem__("odd", 1) if isinstance(node, dict) else node.append(1),
    ]
    rng.choice(action)()
    return json.dumps(data, ensure_ascii=True).encode()


torch.set_num_threads(1)
