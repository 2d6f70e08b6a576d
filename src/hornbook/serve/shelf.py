"""The runs that are served, by name. A directory of runs serves what it holds, new runs too.

Names come from the directories that the server was started with; a name in a request is looked up
among them and is never part of a path.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from hornbook.errors import ConfigError, RunError, did_you_mean
from hornbook.run import Run
from hornbook.runs.listing import RunSummary, list_runs, read_summary

FRESH = 2.0  # seconds for which a listing of the directories is believed
WEIGHTS = "model.safetensors"


class UnknownModelError(ConfigError):
    """No run of this name is served."""


class Shelf:
    """The runs in some directories.

    paths: runs, or directories of runs. Raises RunError where one is neither, ConfigError where two
    runs have the same name.
    """

    def __init__(self, paths: Sequence[str | Path], most: int = 8) -> None:
        self.paths, self.most = [Path(path) for path in paths], most
        self._lock = threading.RLock()
        self._listed, self._runs = float("-inf"), dict[str, RunSummary]()
        self._loaded: OrderedDict[tuple[Path, int], Run] = OrderedDict()
        self.runs(check=True)

    def runs(self, *, check: bool = False) -> dict[str, RunSummary]:
        """All runs by name, as they are now."""
        with self._lock:
            if not check and time.monotonic() - self._listed < FRESH:
                return self._runs
            found: dict[str, RunSummary] = {}
            for path in self.paths:
                try:
                    summaries = self._list(path)
                except RunError:
                    if check:
                        raise
                    continue
                for summary in summaries:
                    other = found.setdefault(summary.name, summary)
                    if check and other.path != summary.path:
                        raise ConfigError(
                            f"{summary.path}: found a second run named {summary.name!r}, expected "
                            f"different names ({other.path}); serve a directory that holds both"
                        )
            self._runs, self._listed = found, time.monotonic()
            return found

    def _list(self, path: Path) -> list[RunSummary]:
        if (path / "config.json").is_file():
            Run.load(path)
            return [read_summary(path, path.resolve().name)]
        if not path.is_dir():
            Run.load(path)  # raises what is wrong with it
        return [replace(run, name=Path(run.name).as_posix()) for run in list_runs(path)[0]]

    def names(self) -> list[str]:
        """The names of the runs that have weights."""
        return [name for name, run in self.runs().items() if (run.path / WEIGHTS).is_file()]

    def summary(self, name: str) -> RunSummary:
        """A run by its name. Raises UnknownModelError."""
        runs = self.runs()
        if name not in runs:
            raise UnknownModelError(f"model: found no run {name!r}{did_you_mean(name, runs)}")
        return runs[name]

    def loaded(self, name: str) -> Run | None:
        """A run whose newest weights are in memory; None where they have to be read."""
        with self._lock:
            run = self._runs.get(name)
            key = None if run is None else _key(run)
            if key is None or key not in self._loaded:
                return None
            self._loaded.move_to_end(key)
            return self._loaded[key]

    def load(self, name: str) -> Run:
        """A run with its model in memory. Raises UnknownModelError, RunError."""
        with self._lock:
            if (run := self.loaded(name)) is not None:
                return run
            summary = self.summary(name)
            run = Run.load(summary.path)
            _ = run.tokenizer, run.model
            key = _key(summary)
            if key is not None:
                for other in [k for k in self._loaded if k[0] == key[0]]:  # of older weights
                    del self._loaded[other]
                self._loaded[key] = run
                while len(self._loaded) > self.most:
                    self._loaded.popitem(last=False)
            return run


def _key(run: RunSummary) -> tuple[Path, int] | None:
    """What changes when a run has other weights."""
    try:
        return run.path, (run.path / WEIGHTS).stat().st_mtime_ns
    except OSError:
        return None
