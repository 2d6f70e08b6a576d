"""Two versions of hornbook in one run, in turns: starting, training, sampling.

    HORNBOOK_DATA=... python benchmarks/before_after.py BEFORE_SRC AFTER_SRC [--only ITEM ...] [--quick]

BEFORE_SRC and AFTER_SRC are the `src` folders of two checkouts; both run with this Python. Every turn
of one is followed by a turn of the other, and the order changes from round to round. Figures are
medians; `times` is how many times as good the second version is (as fast; with as little memory), the
median over rounds of the ratio within a round. Items:

    help, import      wall seconds of `hornbook --help` and of `import hornbook`
    train             `hornbook train names --steps 200`: wall seconds, and those of training
    sample            wall seconds of `hornbook sample RUN -n 5`
    names             names per second, of the run that `train` made
    characters        milliseconds per character of a GPT of 10.8 M parameters, after a full context
    notes-gpt         seconds of its step of 8 rows with dropout, peak memory above the imports
    notes             microseconds of a step of the notes' small models, as a run makes it; compiled
    steps             milliseconds of a step of each model, on names and on a stream, by threads

Caches are empty for each version at the start. Wants a quiet machine, where all of it takes some eight
minutes. Prints a table, then one JSON line.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

WORKER = Path(__file__).with_name("before_after_worker.py")
MODELS = ("bigram", "mlp", "wavenet", "rnn", "lstm", "gru", "bow", "gpt2", "gpt")
NOTES = ("notes-mlp", "notes-mlp-bn", "notes-wavenet")
MORE_IS_BETTER = ("per_second",)
Figures = dict[str, float]
Turn = Callable[[], Figures]


@dataclass(frozen=True)
class Settings:
    """How much is measured."""

    rounds: int = 5
    turn_seconds: float = 0.15
    train_steps: int = 200
    names: int = 4096
    characters: int = 600
    gpt_rows: int = 8
    models: tuple[str, ...] = MODELS
    notes: tuple[str, ...] = NOTES
    threads: tuple[int, ...] = (2, 1)


QUICK = Settings(1, 0.01, 5, 32, 20, 2, ("bigram", "gpt"), ("notes-mlp",))


class SideError(Exception):
    """One side could not be measured."""


class Side:
    """One version: its commands, its worker, its runs."""

    def __init__(self, name: str, source: Path, folder: Path, settings: Settings) -> None:
        self.name, self.folder, self.settings = name, folder, settings
        self.folder.mkdir()
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(source),
            "HORNBOOK_CACHE": str(folder / "cache"),
            "TORCHINDUCTOR_CACHE_DIR": str(folder / "compiled"),
        }
        self.worker: subprocess.Popen[str] | None = None

    def seconds(self, *arguments: str) -> float:
        """Wall seconds of a Python process. Raises SideError."""
        begin = time.perf_counter()
        done = subprocess.run(
            [sys.executable, *arguments], env=self.environment, cwd=self.folder, text=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False,
        )  # fmt: skip
        if done.returncode:
            raise SideError(f"{self.name}: {done.stderr.strip()[-300:]}")
        return time.perf_counter() - begin

    def train(self) -> Figures:
        """Trains a run anew and returns what it took."""
        shutil.rmtree(self.folder / "run", ignore_errors=True)
        steps = str(self.settings.train_steps)
        command = ["-m", "hornbook", "train", "names", "--steps", steps, "--out", "run"]
        wall = self.seconds(*command)
        report = json.loads((self.folder / "run" / "report.json").read_text("utf-8"))
        return {"wall_s": wall, "training_s": report["seconds"]}

    def run(self) -> str:
        """The path of a trained run."""
        if not (self.folder / "run" / "report.json").exists():
            self.train()
        return str(self.folder / "run")

    def ask(self, task: str, **arguments: Any) -> Figures:
        """One turn of a task of the worker. Raises SideError."""
        if self.worker is None:
            self.worker = subprocess.Popen(
                [sys.executable, str(WORKER)], env=self.environment, cwd=self.folder, text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            )  # fmt: skip
        assert self.worker.stdin is not None
        assert self.worker.stdout is not None
        self.worker.stdin.write(json.dumps([task, arguments]) + "\n")
        self.worker.stdin.flush()
        line = self.worker.stdout.readline()
        found: dict[str, Any] = json.loads(line) if line else {"error": "the worker died"}
        if "error" in found:
            raise SideError(f"{self.name}: {found['error']}")
        return found

    def close(self) -> None:
        """Ends the worker, so that its memory is free and the next begins afresh."""
        if self.worker is not None:
            self.worker.communicate()
            self.worker = None


Sides = tuple[Side, Side]


@dataclass(frozen=True)
class Row:
    """A figure of both versions. times: how many times as good the second is. error: why there is no
    figure."""

    item: str
    unit: str = ""
    before: float | None = None
    after: float | None = None
    times: float | None = None
    error: str = ""

    def __str__(self) -> str:
        if self.error:
            return f"{self.item}: {self.error}"
        what = f"{self.item} ({self.unit})"
        return f"{what:42}{self.before:12.4g}{self.after:12.4g}{self.times:8.2f}"


def in_turns(item: str, rounds: int, before: Turn, after: Turn) -> Iterator[Row]:
    """Rows of what two functions return, by their medians over rounds."""
    pairs = []
    try:
        for i in range(rounds):
            if i % 2:
                second = after()
                pairs.append((before(), second))
            else:
                pairs.append((before(), after()))
    except SideError as error:
        yield Row(item, error=str(error))
        return
    for unit in pairs[0][0]:
        olds, news = ([figures[unit] for figures in side] for side in zip(*pairs, strict=True))
        ratios = [old / new for old, new in zip(olds, news, strict=True)]
        times = statistics.median(1 / r if unit in MORE_IS_BETTER else r for r in ratios)
        yield Row(item, unit, statistics.median(olds), statistics.median(news), times)


def by_workers(item: str, sides: Sides, rounds: int, task: str, **arguments: Any) -> Iterator[Row]:
    """Rows of a task that both workers know."""
    before, after = (lambda side=side: side.ask(task, **arguments) for side in sides)
    return in_turns(item, rounds, before, after)


def by_commands(item: str, sides: Sides, rounds: int, *command: str) -> Iterator[Row]:
    """Wall seconds of a command line of Python."""
    before, after = (lambda side=side: {"wall_s": side.seconds(*command)} for side in sides)
    return in_turns(item, rounds, before, after)


def measure_help(sides: Sides, settings: Settings) -> Iterator[Row]:
    return by_commands("help", sides, 2 * settings.rounds, "-m", "hornbook", "--help")


def measure_import(sides: Sides, settings: Settings) -> Iterator[Row]:
    return by_commands("import", sides, 2 * settings.rounds, "-c", "import hornbook")


def measure_train(sides: Sides, settings: Settings) -> Iterator[Row]:
    before, after = sides
    return in_turns("train", min(3, settings.rounds), before.train, after.train)


def measure_sample(sides: Sides, settings: Settings) -> Iterator[Row]:
    before, after = (
        lambda side=side: {
            "wall_s": side.seconds("-m", "hornbook", "sample", side.run(), "-n", "5")
        }
        for side in sides
    )
    return in_turns("sample", settings.rounds, before, after)


def measure_names(sides: Sides, settings: Settings) -> Iterator[Row]:
    before, after = (
        lambda side=side: side.ask("names", run=side.run(), n=settings.names) for side in sides
    )
    return in_turns("names", settings.rounds, before, after)


def measure_characters(sides: Sides, settings: Settings) -> Iterator[Row]:
    rounds = min(3, settings.rounds)
    return by_workers("characters", sides, rounds, "characters", n=settings.characters)


def measure_notes_gpt(sides: Sides, settings: Settings) -> Iterator[Row]:
    arguments = {"rows": settings.gpt_rows, "dropout": 0.2}
    return by_workers("notes-gpt", sides, settings.rounds, "notes_gpt", **arguments)


def measure_notes(sides: Sides, settings: Settings) -> Iterator[Row]:
    for compiled, preset in itertools.product((False, True), settings.notes):
        arguments = {"preset": preset, "compiled": compiled, "seconds": settings.turn_seconds}
        item = f"{preset} compiled" if compiled else preset
        yield from by_workers(item, sides, settings.rounds, "notes_step", **arguments)


def measure_steps(sides: Sides, settings: Settings) -> Iterator[Row]:
    stream = sides[0].folder / "stream.txt"
    stream.write_text("".join(random.Random(0).choices("etaoin shrdlu,.\n", k=300_000)))
    corpora = {"documents": "names", "stream": str(stream)}
    for model, kind, threads in itertools.product(settings.models, corpora, settings.threads):
        yield from by_workers(
            f"step of {model}, {kind}, threads {threads}", sides, settings.rounds, "step",
            model=model, corpus=corpora[kind], kind=kind, threads=threads,
            seconds=settings.turn_seconds,
        )  # fmt: skip


ITEMS: Mapping[str, Callable[[Sides, Settings], Iterator[Row]]] = {
    "help": measure_help,
    "import": measure_import,
    "train": measure_train,
    "sample": measure_sample,
    "names": measure_names,
    "characters": measure_characters,
    "notes-gpt": measure_notes_gpt,
    "notes": measure_notes,
    "steps": measure_steps,
}


def main() -> None:
    """Measures all items, or those that are named."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("before", type=Path, metavar="BEFORE_SRC")
    parser.add_argument("after", type=Path, metavar="AFTER_SRC")
    parser.add_argument("--only", nargs="+", choices=list(ITEMS), default=list(ITEMS))
    parser.add_argument("--quick", action="store_true", help="only whether everything runs")
    args = parser.parse_args()
    settings = QUICK if args.quick else Settings()
    rows: list[Row] = []
    print(f"{'':42}{'before':>12}{'after':>12}{'times':>8}")
    with tempfile.TemporaryDirectory() as folder:
        sources = {"before": args.before.resolve(), "after": args.after.resolve()}
        before, after = (
            Side(name, source, Path(folder) / name, settings) for name, source in sources.items()
        )
        for item in args.only:
            for row in ITEMS[item]((before, after), settings):
                rows.append(row)
                print(row, flush=True)
            before.close()
            after.close()
    facts = {
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "python": sys.version.split()[0],
    }
    print(json.dumps({"benchmark": "before_after", **facts, "rows": [asdict(r) for r in rows]}))
    if any(row.error for row in rows):
        sys.exit(1)


if __name__ == "__main__":
    main()
