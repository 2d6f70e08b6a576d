"""Several runs of one corpus: every combination of some settings, with several seeds, compared.

A sweep is a directory of runs, `SETTING/seed-N` for each setting and seed, with `sweep.json` beside
them; where no setting is varied it is `seed-N`. What is there already is not done again: finished runs
are kept, an interrupted one is resumed, and more values, seeds or trials may be requested later.
"""

from __future__ import annotations

import itertools
import json
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hornbook.config import DataConfig, Nested, TrainingConfig, merge
from hornbook.config.layering import split_name
from hornbook.data.corpora import load_corpus
from hornbook.data.corpus import Corpus
from hornbook.errors import ConfigError, RunError, counted
from hornbook.experiments.comparison import NO_SETTINGS, Comparison, find_runs
from hornbook.experiments.comparison import compare as compare_runs
from hornbook.experiments.search import Point, Range, Search, Space
from hornbook.files import not_written, read_json, user_path, write_json
from hornbook.metrics.groups import NAME, setting_words
from hornbook.metrics.results import rank
from hornbook.models.registry import MODELS, parse_run_config
from hornbook.parallel.launch import alone
from hornbook.planning.repeat import read_run_settings
from hornbook.planning.request import Request, read_request
from hornbook.runs.directory import StoredRun
from hornbook.training.callbacks.base import Callback
from hornbook.training.session import resume, train

FILE = "sweep.json"
SAME = {  # what has to stay the same in a sweep that continues
    "sha256": "another text",
    "preset": "another preset",
    "settings": "other settings",
    "over": "other settings that vary",
}


@dataclass(frozen=True, repr=False)
class Swept(Comparison):
    """A sweep whose runs are trained and compared.

    path: its directory. failed: of each run that could not be trained, why.
    """

    path: Path = field(kw_only=True)
    failed: tuple[str, ...] = field(default=(), kw_only=True)

    @property
    def sentences(self) -> list[str]:
        """What the figures say, in words."""
        words = [f"not trained: {line}" for line in self.failed] + super().sentences
        if len(self.groups) > 1:
            best = min((group.result for group in self.groups), key=rank)
            test = "its test loss is not" if best.test is not None else "check it on another text"
            words.append(
                f"{best.name} is the best of {len(self.groups)} settings by validation loss, so that "
                f"loss is a little too favorable; {test}"
            )
        return words


def sweep(
    request: Request,
    *,
    over: Mapping[str, Any] | None = None,
    seeds: Sequence[int] = (),
    trials: int | None = None,
    out: Path | None = None,
    callbacks: Sequence[Callback] = (),
    on_message: Callable[[str], None] = lambda line: None,
) -> Swept:
    """Trains what is requested with each combination of settings and each seed, and compares them.

    over: the values of each setting to vary, by dotted name; with `trials`, also a range as text
        (`"1e-4..1e-2"`). seeds: by default the one that is requested.
    trials: how many points to try, proposed by optuna by what the ones before gave; None: all
        combinations.
    on_message: called with a line before each run.
    Raises ConfigError for what cannot be varied, before anything is trained; RunError where `out`
    holds something else or cannot be written.
    """
    alone("a sweep")
    space = read_space(request, over or {}, searched=trials is not None)
    seeds = read_seeds(request, seeds)
    search = None
    if trials is not None:
        if trials < 1 or not space:
            raise ConfigError(
                f"trials: found {trials} over {counted(len(space), 'setting')}, expected one trial "
                "or more and settings to vary"
            )
        search = Search(space)
    corpus = load_corpus(
        DataConfig.parse(merge(request.base, request.settings).get("data", {}), "data")
    )
    points = [] if search else combinations(space)
    fitted = [check_point(request, point, corpus) for point in points]
    path = out or Path("runs") / default_name(request, corpus, space)
    facts = {
        "sweep": 1,
        "corpus": corpus.source,
        "sha256": corpus.sha256,
        "preset": request.preset,
        "settings": {s: f for s, f in merge(request.settings).items() if s != "data"}
        | {"data": {k: v for k, v in request.settings.get("data", {}).items() if k != "corpus"}},
        "over": {name: str(values) for name, values in space.items()} if search else sorted(space),
    }
    trainer = _Trainer(request, path, seeds, callbacks, on_message, facts)
    if search is None:
        runs_to_train = [  # each setting once, then again: when interrupted they are comparable
            (point, seed)
            for i, seed in enumerate(seeds)
            for point, counts in zip(points, fitted, strict=True)
            if i == 0 or not counts  # no seed decides counts
        ]
        for point, seed in runs_to_train:
            trainer.finish(point, seed, len(runs_to_train))
    else:
        trainer.search(search, trials or 0)
    runs, skipped = find_runs([path])
    if not runs:
        raise RunError("\n".join([f"{path}: no run could be trained", *trainer.failed]))
    found = compare_runs(runs, skipped, on_message)
    return Swept(
        found.measured, found.differences, skipped=found.skipped, path=path,
        failed=tuple(trainer.failed),
    )  # fmt: skip


class _Trainer:
    """Trains the runs of a sweep that are not there yet."""

    def __init__(
        self,
        request: Request,
        path: Path,
        seeds: Sequence[int],
        callbacks: Sequence[Callback],
        on_message: Callable[[str], None],
        facts: Mapping[str, Any],
    ) -> None:
        self.request, self.path, self.seeds = request, path, seeds
        self.callbacks, self.on_message = callbacks, on_message
        self.failed: list[str] = []
        self.precision: str | None = None  # of the first that is trained: the others have the same
        self.first: dict[str, StoredRun] = {}  # run of each setting, whatever its seed
        self.n = 0
        self.facts = _claim(path, facts)

    def finish(self, point: Point, seed: int, total: int) -> StoredRun | None:
        """The finished run of a setting and a seed; None where it cannot be trained, which is kept
        in `failed`."""
        run = self._finished(point, seed, total)
        if run is not None and not MODELS[run.config.model.name].model.fitted:
            self.precision = self.precision or str(run.facts["hardware"]["precision"])
        if run is not None:
            self.first.setdefault(setting_words(point), run)
        return run

    def _finished(self, point: Point, seed: int, total: int) -> StoredRun | None:
        self.n += 1
        out = self.path / setting_words(point) / f"seed-{seed}"
        what = f"run {self.n} of {total}: {out.relative_to(self.path)}"
        try:
            if os.path.lexists(out / "config.json"):
                run = StoredRun.load(out)
                if run.report:
                    self.on_message(f"{what}, finished before")
                    return run
                self.on_message(f"{what}, resumed")
                return resume(out, callbacks=self.callbacks)
            first = self.first.get(setting_words(point))
            if first is not None and MODELS[first.config.model.name].model.fitted:
                self.on_message(f"{what}, left out: counts were chosen, which no seed changes")
                return None
            self.on_message(what)
            return train(self._request(point, seed, first), out=out, callbacks=self.callbacks)
        except RunError as error:  # diverged, or another process trains it: the others go on
            self.failed.append(str(error))
            self.on_message(str(error))
            return None

    def _request(self, point: Point, seed: int, first: StoredRun | None) -> Request:
        """What is requested of a run. Within a time budget it repeats what was chosen for the first run
        of its setting, so that these differ by their seeds alone."""
        settings = merge(self.request.settings, nested(point), {"training": {"seed": seed}})
        if first is not None and settings["training"].get("minutes") is not None:
            settings, _ = read_run_settings(first.path)
            repeated = read_request(settings=merge(settings, {"training": {"seed": seed}}))
            return replace(repeated, messages=(), ranks=self.request.ranks)
        return replace(self.request, settings=settings, began=None, precision=self.precision)

    def search(self, search: Search, trials: int) -> None:
        """Tries points that depend on those before; their order is kept in sweep.json."""
        points: list[Point] = list(self.facts.get("trials", []))
        tried: list[tuple[Point, float]] = []
        for i in range(max(trials, len(points))):
            if i == len(points):
                points.append(search.propose(tried))
                write_json(self.path / FILE, {**self.facts, "trials": points})
            point = points[i]
            runs = [
                self.finish(point, seed, max(trials, len(points)) * len(self.seeds))
                for seed in self.seeds
            ]
            bits = [run.report["validation"]["bits_per_byte"] if run else None for run in runs]
            known = [loss for loss in bits if loss is not None]
            mean = sum(known) / len(known) if len(known) == len(bits) else math.inf
            tried.append((point, mean))
            best = min(tried, key=lambda t: t[1])
            self.on_message(
                f"trial {i + 1}: {mean:.4f} bits per byte; best so far {best[1]:.4f}: "
                f"{setting_words(best[0])}"
            )


def read_space(request: Request, over: Mapping[str, Any], *, searched: bool) -> dict[str, Any]:
    """The values of each setting that is varied. Raises ConfigError for what cannot be varied."""
    space: dict[str, Any] = {}
    for dotted, values in over.items():
        section, name = split_name(dotted)
        setting = f"{section}.{name}"
        if setting == "training.seed":
            raise ConfigError(f"{setting}: found several values; give them as --seeds 1,2,3")
        if section == "data" or setting in NO_SETTINGS:
            why = (
                "runs on other texts cannot be compared" if section == "data" else "the loss is not"
            )
            why += "" if section == "data" else " to depend on it"
            raise ConfigError(f"{setting}: cannot be varied in a sweep: {why}")
        if request.requested(section, name) is not None:
            raise ConfigError(f"{setting}: found both one value and several; give one of them")
        if isinstance(values, str):
            if not searched:
                raise ConfigError(
                    f"{setting}: found the range {values!r}; give the number of trials of a search "
                    "(--trials), or list the values to try"
                )
            space[setting] = Range.parse(setting, values)
            continue
        if isinstance(values, Mapping) or not isinstance(values, Iterable):
            raise ConfigError(
                f"{setting}: found {values!r} ({type(values).__name__}), expected several values; put "
                "them into a list"
            )
        listed = list(dict.fromkeys(values))
        if not listed:
            raise ConfigError(f"{setting}: found no value, expected one or more")
        space[setting] = listed
    return space


def read_seeds(request: Request, seeds: Sequence[int]) -> list[int]:
    """The seeds of a sweep. Raises ConfigError for one that is given twice, or is none."""
    requested = request.requested("training", "seed")
    if requested is not None and seeds:
        raise ConfigError("seeds: found them beside seed; give one of the two")
    if not seeds:
        seeds = [TrainingConfig().seed if requested is None else requested]
    checked = [TrainingConfig.parse({"seed": seed}, "training").seed for seed in seeds]
    if twice := [seed for seed in checked if checked.count(seed) > 1]:
        raise ConfigError(f"seeds: found {twice[0]} twice; each seed is one run")
    return checked


def combinations(space: Space) -> list[Point]:
    """Every combination of the values; one empty point where nothing is varied."""
    lists = [list(values) for values in space.values() if not isinstance(values, Range)]
    return [dict(zip(space, values, strict=True)) for values in itertools.product(*lists)]


def nested(point: Point) -> Nested:
    """Dotted settings as sections of fields."""
    sections: Nested = {}
    for dotted, value in point.items():
        section, name = split_name(dotted)
        sections.setdefault(section, {})[name] = value
    return sections


def check_point(request: Request, point: Point, corpus: Corpus) -> bool:
    """Whether the model of a point is counted, not trained.

    Raises ConfigError for a wrong field or value, before the first run of a sweep.
    """
    request = replace(request, settings=merge(request.settings, nested(point)))
    defaults = request.defaults(documents=corpus.kind == "documents")
    config = parse_run_config(merge({"model": {"name": request.model}}, defaults, request.settings))
    return MODELS[config.model.name].model.fitted


def default_name(request: Request, corpus: Corpus, space: Space) -> str:
    """The directory of a sweep under runs/: the same for the same command, which continues it."""
    if not space:
        return f"{corpus.name}-{request.model}-seeds"
    return f"sweep-{corpus.name}" + ("" if NAME in space else f"-{request.model}")


def _claim(path: Path, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Makes the directory of a sweep, or checks that it holds this one; the facts with its trials."""
    known = user_path(path, ConfigError) / FILE
    if path.exists() and not path.is_dir():
        raise RunError(f"{path}: is a file, expected a directory; give another directory (--out)")
    if path.exists() and any(path.iterdir()) and not known.exists():
        raise RunError(f"{path}: exists already and is no sweep; give another directory (--out)")
    facts = json.loads(json.dumps(facts))
    if known.exists() and any(entry.is_dir() for entry in path.iterdir()):
        before = read_json(known)
        if other := [what for key, what in SAME.items() if before.get(key) != facts.get(key)]:
            raise RunError(
                f"{path}: holds a sweep with {' and '.join(other)}; give another directory (--out) or "
                "remove it"
            )
        trials = before.get("trials", [])
        if not isinstance(trials, list) or any(sorted(t) != sorted(facts["over"]) for t in trials):
            raise RunError(f"{known}: damaged: found {trials!r} as its trials")
        return {**facts, "trials": trials}
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise not_written(path, error) from None
    write_json(known, facts)
    return dict(facts)
