"""What a process holds at its peak, beside what the plan says of it.

The plan counts what a run takes above a process that has its libraries loaded: a small run comes first.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("resource")  # not on Windows

MB = 1_000_000
COMMON = """
import json, resource, sys
from pathlib import Path

def peak():
    scale = 1 if sys.platform == "darwin" else 1024
    return scale * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
"""
TRAIN = """
import hornbook
from hornbook.training.callbacks.base import Callback
from hornbook import machine
from hornbook.planning.decide import memory
from hornbook.training import loop

class Planned(Callback):
    def on_plan(self, plan):
        self.total = plan.memory.total

for module in (machine, memory, loop):  # no memory to spare, so that no freed memory is kept
    module.available_memory = lambda: 1_500_000_000

def train(name):
    settings = {"data.kind": "stream", "training.sample_count": 0, "training.threads": 1,
                "training.eval_count": 1, "training.compile": "no"}
    steps = None if model == "ngram" else 3
    hornbook.train(name, model=model, steps=steps, out=f"{name}.run", settings=settings,
                   callbacks=[planned])

model, planned = sys.argv[1], Planned()
train("small.txt")
before = peak()
train("han.txt")
print(json.dumps([peak() - before, planned.total]))
"""
WRITE = """
import torch
from hornbook.files import read_tensors, write_tensors

write_tensors(Path("small"), {"x": torch.ones(10)})
read_tensors(Path("small"))
tensors = {"x": torch.ones(30_000_000), "y": torch.ones(30_000_000, dtype=torch.int16)}
before = peak()
write_tensors(Path("large"), tensors)
print(json.dumps(peak() - before))
"""


def measure(code: str, folder: Path, *arguments: str) -> object:
    """What a new process prints."""
    command = [sys.executable, "-c", COMMON + code, *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_tensors_are_written_without_copies(tmp_path: Path) -> None:
    assert measure(WRITE, tmp_path) < 10 * MB  # type: ignore[operator]  # of 180 MB


@pytest.mark.parametrize("model", ["bigram", "ngram"])
def test_a_large_alphabet_takes_what_the_plan_says(tmp_path: Path, model: str) -> None:
    alphabet = "".join(chr(0x4E00 + i) for i in range(3000))
    (tmp_path / "small.txt").write_text("some words in a row. " * 500, "utf-8")
    (tmp_path / "han.txt").write_text(alphabet * 6 + alphabet[::-1] * 4, "utf-8")
    taken, planned = measure(TRAIN, tmp_path, model)  # type: ignore[misc]
    assert taken < 1.1 * planned
    assert planned < 700 * MB
