"""The runs that are served, by name. A directory of runs serves what it holds, new runs too.

Names come from the directories that the server was started with; a name in a request is looked up
among them and is never part of a path.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from hornbook.errors import ConfigError, RunError, did_you_mean
from hornbook.run import Run
from hornbook.runs.listing import RunSummary, list_runs, read_summary

FRESH = 2.0  # seconds for which a listing of the directories is believed
WEIGHTS = "model.safetensors"


class UnknownModelError(ConfigError):
    """No run of this name is served."""


@dataclass(frozen=True)
class Listing:
    """The runs as they were at a time, by name.

    weights: of those that have some, what changes when these do. listed: by the monotonic clock.
    """

    runs: Mapping[str, RunSummary] = field(default_factory=dict)
    weights: Mapping[str, tuple[Path, int]] = field(default_factory=dict)
    listed: float = float("-inf")

    @property
    def is_stale(self) -> bool:
        """Whether it is to be read again."""
        return time.monotonic() - self.listed > FRESH


class Shelf:
    """The runs in some directories.

    paths: runs, or directories of runs. Raises RunError where one is neither, ConfigError where two
    runs have the same name.
    """

    def __init__(self, paths: Sequence[str | Path], most: int = 8) -> None:
        self.paths, self.most = [Path(path) for path in paths], most
        self.listing = Listing()
        self._lock = threading.RLock()
        self._loaded: OrderedDict[tuple[Path, int], Run] = OrderedDict()
        self.refresh(check=True)

    @property
    def names(self) -> list[str]:
        """The names of the runs that have weights."""
        return list(self.listing.weights)

    def refresh(self, *, check: bool = False) -> Listing:
        """Lists the directories, unless that was done a moment ago. check: raises what is wrong."""
        with self._lock:
            if not check and not self.listing.is_stale:
                return self.listing
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
            stamps = ((name, _weights(run.path)) for name, run in found.items())
            weights = {name: stamp for name, stamp in stamps if stamp is not None}
            self.listing = Listing(found, weights, time.monotonic())
            return self.listing

    def _list(self, path: Path) -> list[RunSummary]:
        if (path / "config.json").is_file():
            Run.load(path)
            return [read_summary(path, path.resolve().name)]
        if not path.is_dir():
            Run.load(path)  # raises what is wrong with it
        return [replace(run, name=Path(run.name).as_posix()) for run in list_runs(path)[0]]

    def summary(self, name: str) -> RunSummary:
        """A run by its name. Raises UnknownModelError."""
        runs = self.listing.runs
        if name not in runs:
            runs = self.refresh().runs
        if name not in runs:
            raise UnknownModelError(f"model: found no run {name!r}{did_you_mean(name, runs)}")
        return runs[name]

    def loaded(self, name: str) -> Run | None:
        """A run whose newest weights are in memory; None where they have to be read."""
        key = self.listing.weights.get(name)
        return None if key is None else self._loaded.get(key)

    def load(self, name: str) -> Run:
        """A run with its model in memory. Raises UnknownModelError, RunError."""
        with self._lock:
            run = self.loaded(name)
            if run is None:
                summary = self.summary(name)
                run = Run.load(summary.path)
                _ = run.tokenizer, run.model
            key = self.listing.weights.get(name)
            if key is not None:
                for other in [k for k in self._loaded if k[0] == key[0] and k != key]:
                    del self._loaded[other]  # older weights
                self._loaded[key] = run
                self._loaded.move_to_end(key)
                while len(self._loaded) > self.most:
                    self._loaded.popitem(last=False)
            return run


def _weights(path: Path) -> tuple[Path, int] | None:
    """What changes when a run has other weights; None where it has none."""
    try:
        return path, (path / WEIGHTS).stat().st_mtime_ns
    except OSError:
        return None
