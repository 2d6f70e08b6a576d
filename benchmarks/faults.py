"""What the faults of `reliability.py` share: a small corpus, whole runs, forked processes."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hornbook
from hornbook.errors import RunError
from hornbook.files import read_tensors
from hornbook.models.registry import MODELS
from hornbook.training.callbacks.base import Callback, TrainerBase
from hornbook.training.callbacks.logging import MEASURED
from hornbook.training.interrupts import Interrupted

ROOT = Path(__file__).parent.parent
KEPT = Path(os.environ.get("RELIABILITY_OUT", ROOT / "runs" / "reliability"))
SIZES = {"context_length": 16, "n_layer": 1, "n_head": 2, "n_kv_head": 1, "n_embd": 16,
         "n_hidden": 24, "order": 3}  # fmt: skip
PINNED = {"precision": "fp32", "threads": 1, "compile": "no"}  # nothing is measured
NAMES = [name for name, entry in MODELS.items() if entry.trained]
STEPS = 24

Fault = Callable[["Bench", int], tuple[int, int]]


class Bench:
    """A folder with a small corpus, and the whole run of each model to compare with."""

    def __init__(self, folder: Path, rng: random.Random) -> None:
        self.folder, self.rng = folder, rng
        self.corpus = folder / "words.txt"
        parts = ["ba", "ko", "mi", "tu", "re", "la"]
        self.corpus.write_text("\n".join(a + b + c for a in parts for b in parts for c in parts))
        self._whole: dict[str, tuple[Any, float]] = {}
        self._count = 0

    def place(self) -> Path:
        self._count += 1
        return self.folder / f"run{self._count}"

    def train(self, name: str, out: Path, callbacks: tuple[Callback, ...] = ()) -> None:
        fields = MODELS[name].config.model_fields
        settings = {
            "model": {field: value for field, value in SIZES.items() if field in fields},
            "training": {
                "steps": STEPS, "batch_size": 8, "eval_count": 4, "sample_count": 2, **PINNED,
            },
            "optim": {"name": "muon" if name == "gpt" else "adamw"},
        }  # fmt: skip
        hornbook.train(
            str(self.corpus), model=name, out=out, settings=settings, callbacks=callbacks
        )

    def begin_or_resume(self, name: str, out: Path, callbacks: tuple[Callback, ...] = ()) -> None:
        """Begins a run, or resumes the one that is there: what a user would type next."""
        if (out / "report.json").exists():
            return
        if out.exists():
            hornbook.resume(out, callbacks=callbacks)
        else:
            self.train(name, out, callbacks)

    def resumed(self, name: str, out: Path) -> Path:
        """Resumes a run in a child, to its end."""
        assert child(lambda: self.begin_or_resume(name, out)) == 0
        return out

    def whole(self, name: str) -> tuple[Any, float]:
        """What a run without faults comes to, and its seconds."""
        if name not in self._whole:
            out = self.place()
            begin = time.perf_counter()
            assert child(lambda: self.train(name, out)) == 0
            self._whole[name] = (outcome(out), time.perf_counter() - begin)
        return self._whole[name]

    def same(self, name: str, out: Path) -> bool:
        """Whether a run came to the same as one without faults; it is removed then."""
        if outcome(out) != self.whole(name)[0]:
            return False
        shutil.rmtree(out)
        return True


def outcome(path: Path) -> Any:
    """All that a run came to, times aside, as something to compare."""
    run = hornbook.load(path)
    files = [path / "model.safetensors", *sorted((path / "last").glob("state-*"))[-1:]]
    tensors = [
        {name: (t.shape, t.numpy(force=True).tobytes()) for name, t in read_tensors(file).items()}
        for file in files
    ]
    return tensors, without_times(run.log), without_times(run.report)


def without_times(value: Any) -> Any:
    """What was logged or reported, without what depends on the clock."""
    if isinstance(value, dict):
        return {k: without_times(v) for k, v in value.items() if k not in MEASURED}
    return [without_times(v) for v in value] if isinstance(value, list) else value


def newest_state(path: Path) -> Path:
    """The file of the state that a run resumes from."""
    return path / "last" / json.loads((path / "last" / "state.json").read_text())["newest"]


def child(work: Callable[[], object], kill_after: float | None = None, number: int = 9) -> int:
    """The exit code of a forked process, or minus the signal that ended it."""
    pid = os.fork()
    if not pid:
        code = 1
        try:
            sink = os.open(os.devnull, os.O_WRONLY)
            os.dup2(sink, 1), os.dup2(sink, 2)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            work()
            code = 0
        except Interrupted as stop:
            code = 128 + stop.signal
        except RunError as error:
            code = 3
            (KEPT / "refused.txt").write_text(str(error))
        except Exception:
            (KEPT / "failed.txt").write_text(traceback.format_exc())
        finally:
            os._exit(code)
    if kill_after is not None:
        time.sleep(kill_after)
        os.kill(pid, number)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


class At(Callback):
    """Does something after a step, counted from 0."""

    def __init__(self, step: int, do: Callable[[TrainerBase], object]) -> None:
        self.step, self.do = step, do

    def post_step(self, step: int) -> None:
        if step == self.step:
            self.do(self.trainer)
