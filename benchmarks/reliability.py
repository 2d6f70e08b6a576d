"""What a fault costs: each is done for real, many times, and what is lost is counted.

    python benchmarks/reliability.py [--only FAULT] [--times N] [--seed S]

Small runs of every model are killed, starved of disk, moved and damaged, and resumed; what comes out
is compared bit for bit with a run that nothing happened to: weights, the newest state, the log and the
report, times aside. Results are kept in runs/reliability, and the table of docs/reliability.md is
printed from them. A child process is a fork, so that torch is imported once. Linux; the full disk and
the read-only directory need root.
"""

# ruff: noqa: PT017 (an error is looked at where it is caught)
from __future__ import annotations

import argparse
import ctypes
import functools
import itertools
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from faults import (
    KEPT,
    NAMES,
    STEPS,
    At,
    Bench,
    Fault,
    child,
    newest_state,
)

import hornbook
from hornbook.cli.main import main as cli
from hornbook.errors import HornbookError
from hornbook.files import read_tensors
from hornbook.training.callbacks.base import Callback, TrainerBase


def killed(bench: Bench, times: int) -> tuple[int, int]:
    """SIGKILL at a random moment, resumed, often killed again"""
    tried = lost = 0
    while tried < times:
        name = NAMES[tried % len(NAMES)]
        out, seconds = bench.place(), bench.whole(name)[1]
        begin_or_resume = functools.partial(bench.begin_or_resume, name, out)
        while (code := child(begin_or_resume, bench.rng.uniform(0, 1.1 * seconds))) != 0:
            tried += code == -9
            if bench.rng.random() < 0.5:
                bench.resumed(name, out)
                break
        lost += not bench.same(name, out)
    return tried, lost


def killed_at_files(bench: Bench, times: int) -> tuple[int, int]:
    """Death before the first, second, third ... file is opened, renamed or removed"""
    tried = lost = 0
    for n in range(1, times + 1):
        out = bench.place()

        def work(n: int = n, out: Path = out) -> None:
            seen = 0

            def hook(event: str, arguments: tuple[Any, ...]) -> None:
                nonlocal seen
                if event in ("open", "os.rename", "os.remove", "os.mkdir") and out.name in str(
                    arguments[0]
                ):
                    seen += 1
                    if seen == n:
                        os._exit(9)

            sys.addaudithook(hook)
            bench.begin_or_resume("bigram", out)

        if child(work) == 0:
            break
        tried += 1
        assert child(lambda out=out: bench.begin_or_resume("bigram", out)) == 0, n
        lost += not bench.same("bigram", out)
    return tried, lost


def repeated(turn: Callable[[Bench, str, Path, int], Path | None]) -> Fault:
    """Repeats a fault: `turn` gets a model's name, a new directory and a random step. It returns where
    the run is that is to equal a whole one; None where the fault did not happen, which does not count.
    """

    @functools.wraps(turn)
    def fault(bench: Bench, times: int) -> tuple[int, int]:
        tried = lost = 0
        while tried < times:
            name = NAMES[1:][tried % (len(NAMES) - 1)]
            out = turn(bench, name, bench.place(), bench.rng.randrange(STEPS))
            if out is not None:
                tried, lost = tried + 1, lost + (not bench.same(name, out))
        return tried, lost

    return fault


def _stopped(bench: Bench, name: str, out: Path, step: int, number: int) -> Path:
    stop = At(step, lambda _: os.kill(os.getpid(), number))
    assert child(lambda: bench.train(name, out, (stop,))) == 128 + number
    return out


@repeated
def interrupted(bench: Bench, name: str, out: Path, step: int) -> Path:
    """Ctrl-C, exit code 130"""
    return bench.resumed(name, _stopped(bench, name, out, step, signal.SIGINT))


@repeated
def terminated(bench: Bench, name: str, out: Path, step: int) -> Path:
    """SIGTERM, exit code 143"""
    return bench.resumed(name, _stopped(bench, name, out, step, signal.SIGTERM))


def disk_full(bench: Bench, times: int) -> tuple[int, int]:
    """Disk full (a tmpfs of random size), then more space"""
    libc = ctypes.CDLL(None, use_errno=True)
    disk = bench.folder / "disk"
    disk.mkdir(exist_ok=True)

    def mount(options: str, flags: int = 0) -> None:
        if libc.mount(b"none", str(disk).encode(), b"tmpfs", flags, options.encode()):
            raise OSError(ctypes.get_errno(), "mount: needs root")

    def turn(bench: Bench, name: str, out: Path, step: int) -> Path | None:
        mount(f"size={4 * bench.rng.randrange(2, 120)}k")
        try:
            code = child(lambda: bench.train(name, disk / "run"))
            if code == 0:
                return None
            assert code == 3, code
            mount("size=64m", 32)  # MS_REMOUNT
            return shutil.copytree(bench.resumed(name, disk / "run"), out)
        finally:
            libc.umount(str(disk).encode())

    try:
        return repeated(turn)(bench, times)
    except OSError as error:
        print(f"disk-full: {error}", file=sys.stderr)
        return 0, 0


@repeated
def too_large(bench: Bench, name: str, out: Path, step: int) -> Path | None:
    """A limit on the size of files (ulimit -f), then a higher one"""
    largest = bench.rng.randrange(1000, 60_000)

    def work() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, -1))
        bench.train(name, out)

    code = child(work)
    assert code in (0, 3), code
    return bench.resumed(name, out) if code else None


@repeated
def read_only(bench: Bench, name: str, out: Path, step: int) -> Path:
    """The directory becomes read-only, then writable again"""
    bench.folder.chmod(0o777)

    def lock(_: TrainerBase) -> None:
        for folder in (out / "last", out):
            if folder.exists():
                folder.chmod(0o555)
        for log in out.glob("log.jsonl"):
            log.chmod(0o444)

    def work() -> None:
        os.setuid(65534)  # root may write everywhere
        bench.train(name, out, (At(min(step, STEPS - 2), lock),))  # before the last: writes follow

    assert child(work) == 3
    for path in (out, *out.rglob("*")):
        path.chmod(0o777)
    return bench.resumed(name, out)


@repeated
def moved(bench: Bench, name: str, out: Path, step: int) -> Path:
    """The run directory is renamed during training"""
    there = out.with_name(f"{out.name}-moved")
    move = At(step, lambda _: out.rename(there))
    assert child(lambda: bench.train(name, out, (move,))) == 0
    assert not out.exists()
    return there


def leapt(clock: Callable[[], float], jump: float) -> Callable[[], float]:
    """A clock that was set to another time."""
    return lambda: clock() + jump


@repeated
def clock(bench: Bench, name: str, out: Path, step: int) -> Path:
    """The clocks jump by up to a day, forward and back"""
    jump = bench.rng.uniform(-86_400, 86_400)

    def leap(trainer: TrainerBase) -> None:
        for clock in ("time", "perf_counter", "monotonic"):
            setattr(time, clock, leapt(getattr(time, clock), jump))
        for keeper in (trainer.clock, *trainer.callbacks):
            if hasattr(keeper, "now"):
                keeper.now = leapt(keeper.now, jump)

    assert child(lambda: bench.train(name, out, (At(step, leap),))) == 0
    return out


def damaged(bench: Bench, times: int) -> tuple[int, int]:
    """The newest state is bit-flipped, cut, zeroed, swapped or removed: the one before it is used"""
    halves = {name: _stopped(bench, name, bench.place(), 17, signal.SIGINT) for name in NAMES[1:]}
    kinds = itertools.cycle(range(5))

    def turn(bench: Bench, name: str, out: Path, step: int) -> Path:
        shutil.copytree(halves[name], out)
        newest = newest_state(out)
        raw = bytearray(newest.read_bytes())
        at = bench.rng.randrange(len(raw))
        kind = next(kinds)
        if kind == 0:
            raw[at] ^= 1 << bench.rng.randrange(8)
        elif kind == 1:
            del raw[at:]
        elif kind == 2:
            raw[at : at + 4096] = bytes(len(raw[at : at + 4096]))
        newest.write_bytes(raw)
        if kind == 3:
            newest.write_bytes((out / "model.safetensors").read_bytes())
        if kind == 4:
            newest.unlink()
        return bench.resumed(name, out)

    return repeated(turn)(bench, times)


@repeated
def both(bench: Bench, name: str, out: Path, step: int) -> Path:
    """A second process on the same run is refused; the first continues"""

    def second(_: TrainerBase) -> None:
        if child(lambda: bench.begin_or_resume(name, out)) != 3:
            os._exit(7)

    assert child(lambda: bench.train(name, out, (At(step, second),))) == 0
    return out


@repeated
def corpus(bench: Bench, name: str, out: Path, step: int) -> Path:
    """The corpus is changed, then missing, then restored: refused, refused, resumed"""
    bench.whole(name)
    text = bench.corpus.read_text()
    _stopped(bench, name, out, 17, signal.SIGINT)
    at = bench.rng.randrange(len(text))
    for change in (text[:at] + "x" + text[at + 1 :], None):
        bench.corpus.unlink() if change is None else bench.corpus.write_text(change)
        assert cli(["train", "--resume", str(out)]) == 1
    bench.corpus.write_text(text)
    assert child(lambda: hornbook.resume(out)) == 0
    return out


def diverged(bench: Bench, times: int) -> tuple[int, int]:
    """A weight becomes NaN: stopped before the step, the last good state kept"""
    tried = lost = 0

    class Poison(Callback):
        def __init__(self, step: int) -> None:
            self.step = step

        def pre_step(self, step: int) -> None:
            if step == self.step:
                with torch.no_grad():
                    next(self.trainer.step.model.parameters()).fill_(float("nan"))

    while tried < times:
        name = NAMES[1:][tried % (len(NAMES) - 1)]
        out, step = bench.place(), bench.rng.randrange(7, 24)
        try:
            bench.train(name, out, (Poison(step),))
        except HornbookError as error:
            assert f"at step {step + 1}" in str(error), error
        else:
            lost += 1
        newest = newest_state(out)
        weights = read_tensors(out / "model.safetensors")
        lost += any(not t.isfinite().all() for t in weights.values() if t.is_floating_point())
        lost += not newest.exists()
        tried += 1
        shutil.rmtree(out)
    return tried, lost


FAULTS: dict[str, tuple[Fault, int]] = {
    "sigkill": (killed, 200),
    "files": (killed_at_files, 1000),
    "sigint": (interrupted, 50),
    "sigterm": (terminated, 50),
    "disk-full": (disk_full, 50),
    "file-size": (too_large, 30),
    "read-only": (read_only, 30),
    "moved": (moved, 30),
    "damaged": (damaged, 200),
    "clock": (clock, 20),
    "two": (both, 20),
    "corpus": (corpus, 20),
    "nan": (diverged, 30),
}


def table() -> str:
    rows = ["| fault | tests | runs that lost anything |", "| --- | ---: | ---: |"]
    for name, (fault, _) in FAULTS.items():
        kept = KEPT / f"{name}.json"
        if kept.exists():
            result = json.loads(kept.read_text())
            rows.append(f"| {fault.__doc__} | {result['tried']} | {result['lost']} |")
    return "\n".join(rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", choices=FAULTS, action="append")
    parser.add_argument("--times", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--models", help="a few only, separated by commas (default: all)")
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.models:
        NAMES[:] = ["ngram", *args.models.split(",")]
    KEPT.mkdir(parents=True, exist_ok=True)
    lost_any = 0
    for name in args.only or FAULTS:
        fault, times = FAULTS[name]
        with tempfile.TemporaryDirectory() as folder:
            begin = time.monotonic()
            bench = Bench(Path(folder), random.Random(args.seed))
            bench.train("bigram", bench.place())  # imports what the children are going to need
            tried, lost = fault(bench, args.times or times)
            seconds = time.monotonic() - begin
        result = {"fault": name, "tried": tried, "lost": lost, "seconds": round(seconds, 1)}
        (KEPT / f"{name}.json").write_text(json.dumps(result))
        print(json.dumps(result), file=sys.stderr, flush=True)
        lost_any += lost
    print(table())
    return int(bool(lost_any))


if __name__ == "__main__":
    sys.exit(main())
