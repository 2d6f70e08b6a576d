"""The ladder: every rung trained on the same split, then one table and one picture.

A ladder is a directory of runs, one a rung, with `ladder.json` and `ladder.png` beside them. What is
there already is not done again: finished rungs are kept, an interrupted one is resumed.
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from hornbook.config import DataConfig, Nested, TrainingConfig, merge, presets
from hornbook.data.corpora import load_corpus
from hornbook.errors import ConfigError, RunError, counted, did_you_mean
from hornbook.experiments.comparison import Comparison, measure
from hornbook.experiments.mixture import members_weights, mix
from hornbook.figures.comparison import comparison
from hornbook.files import not_written, read_json, user_path, write_bytes, write_json
from hornbook.metrics.comparison import Difference, corrected, difference, differences
from hornbook.metrics.results import MeasuredRun, RunResult, format_loss
from hornbook.metrics.verdict import times
from hornbook.models.registry import MODELS
from hornbook.parallel.launch import alone
from hornbook.planning.decide.time_budget import TooShortError
from hornbook.planning.request import Request, read_request
from hornbook.planning.tuning import TRAINED_A_SECOND
from hornbook.runs.directory import StoredRun
from hornbook.training.callbacks.base import Callback
from hornbook.training.session import resume, train

MIXTURE = "mixture"
UNDERTRAINED = "too little training"
# where time is short: the goal, the simplest, then what each further one teaches
WORTH = ("gpt", "bigram", "mlp", "gru", "wavenet", "gpt2", "lstm", "rnn", "bow")
SECONDS = (15.0, 60.0)  # of a share, at least and at most, that are enough


@dataclass(frozen=True, repr=False)
class Ladder(Comparison):
    """A ladder whose rungs are trained and measured, in their order.

    too_little: rungs that got too little training, and how little. left_out: those that a time budget
    was too short for.
    """

    path: Path
    too_little: Mapping[str, str]
    left_out: tuple[str, ...] = ()

    @property
    def labeled(self) -> tuple[RunResult, ...]:
        """The rows of its table; a rung that got too little training is marked as such."""
        return tuple(replace(result, name=self.label(result.name)) for result in self.results)

    def label(self, name: str) -> str:
        """The name of a rung, marked where it got too little training."""
        return f"{name} ({UNDERTRAINED})" if name in self.too_little else name

    @property
    def named_differences(self) -> list[Difference]:
        """The differences; a rung that got too little training is marked as such."""
        return [
            replace(d, best=self.label(d.best), other=self.label(d.other)) for d in self.differences
        ]

    @property
    def sentences(self) -> list[str]:
        """What the figures say, in words."""
        first = [
            f"{name} got too little training to be compared: {why}; give it more --minutes"
            for name, why in self.too_little.items()
        ]
        if self.left_out:
            first.append(
                f"left out, as the minutes are too few for all: {', '.join(self.left_out)}; give more "
                "--minutes, or name them with --rungs"
            )
        return first + super().sentences + passed(self.measured)

    @property
    def standings(self) -> list[dict[str, Any]]:
        """The rows as plain data; too_little: why a rung cannot be compared, empty where it can."""
        return [{**asdict(r), "too_little": self.too_little.get(r.name, "")} for r in self.results]


def climb(
    corpus: str = "names",
    *,
    rungs: Sequence[str] = (),
    out: Path | None = None,
    settings: dict[str, dict[str, Any]] | None = None,
    callbacks: Sequence[Callback] = (),
    report: Callable[[RunResult], None] = lambda _: None,
    minutes: float | None = None,
    began: float | None = None,
) -> Ladder:
    """Trains each rung of the ladder for this kind of text (or only those named) and measures it.

    The table is of these rungs and of all others that were finished in the same directory before.
    report: called with the result of each of these rungs, as soon as it is known.
    minutes: for all of it, from `began` (time.monotonic()) on, by default from this call; each rung
        that is trained makes the steps that fit into its share. Unless `rungs` are named, fewer are
        trained where the minutes are too few for all (`affordable`), if need be counts alone.
    Raises ConfigError for an unknown rung or minutes too few for a named one, RunError where `out`
    holds another ladder, is a file, or cannot be written.
    """
    alone("a ladder")
    began = time.monotonic() if began is None else began
    settings = settings or {}
    text = load_corpus(DataConfig.parse({**settings.get("data", {}), "corpus": corpus}, "data"))
    whole = presets.ladder(documents=text.kind == "documents")
    for rung in rungs:
        if rung not in whole:
            raise ConfigError(f"rung: found {rung!r}, no such rung{did_you_mean(rung, whole)}")
    path = user_path(out or Path("runs") / f"ladder-{text.name}", ConfigError)
    facts = {"ladder": 1, "corpus": text.source, "sha256": text.sha256, "settings": settings}
    wanted = {rung: whole[rung] for rung in dict.fromkeys(rungs or whole)}
    shares = None
    if minutes is not None:
        checked = TrainingConfig.parse({"minutes": minutes}, "training").minutes
        assert checked is not None
        facts["minutes"] = checked
        if not rungs:
            kept = affordable(_trained(whole), checked, text.n_bytes)
            wanted = {r: whole[r] for r in whole if r in kept or r not in _trained(whole)}
        shares = TimeShares(checked, began, wanted, path, mixed=not rungs)
    _claim(path, facts, trained=_trained(whole))
    known: dict[str, MeasuredRun] = {}
    n = len(wanted) + (not rungs)

    def tell(rung: str) -> None:
        for callback in callbacks:
            callback.on_message(f"rung {len(known) + 1} of {n}: {rung}")

    for rung, preset in wanted.items():
        tell(rung)
        if (path / rung / "report.json").exists():
            run = StoredRun.load(path / rung)
        elif (path / rung).exists():
            run = resume(path / rung, callbacks=callbacks)
        else:  # as `hornbook train` would: what nobody requested is decided for the text
            request = read_request(corpus, preset=preset, settings=settings)
            if shares is not None and rung in shares.weights:
                try:
                    run = shares.train(rung, request, callbacks)
                except ShareTooShortError:
                    if rungs:
                        raise
                    tell(f"{rung} is left out, too little time is left for it")
                    continue
            else:
                run = train(request, out=path / rung, callbacks=callbacks)
        known[rung] = measure(run, rung)
        report(known[rung].result)
    if not rungs and not all(m.result.fitted for m in known.values()):
        tell(MIXTURE)
        known[MIXTURE] = _mixture(path, [m.result for m in known.values()])
        report(known[MIXTURE].result)
    for name in (*whole, MIXTURE):
        if name not in known and (path / name / "report.json").exists():
            known[name] = measure(StoredRun.load(path / name), name)
    measured = [known[name] for name in (*whole, MIXTURE) if name in known]
    ladder = Ladder(
        tuple(measured),
        tuple(differences(measured)),
        path,
        too_little={m.result.name: why for m in measured if (why := _too_little(m.result.path))},
        left_out=tuple(name for name in whole if name not in known and not rungs),
    )
    write_json(
        path / "ladder.json",
        {**facts, "standings": ladder.standings, "sentences": ladder.sentences},
    )
    title = f"The ladder on {text.name}"
    figure = comparison(ladder.labeled, title, differences=ladder.named_differences)
    write_bytes(path / "ladder.png", figure.png())
    write_bytes(path / "ladder.svg", figure.svg().encode())
    return ladder


def affordable(trained: Sequence[str], minutes: float, n_bytes: int) -> list[str]:
    """The trained rungs that get enough of a time budget, those first that teach most; at least one.

    Enough is about one pass through a text of so many bytes for the shortest share (`TimeShares`).
    """
    least, most = SECONDS
    enough = max(least, min(most, n_bytes / TRAINED_A_SECOND))
    order = sorted(trained, key=lambda rung: WORTH.index(rung) if rung in WORTH else len(WORTH))
    n = len(order)
    while n > 1 and 60 * minutes < enough * (n - 1 + last_weight(n)):
        n -= 1
    return order[:n]


def last_weight(n: int) -> float:
    """Of the last of n trained rungs, which gains most by its minutes, where the others have 1."""
    return max(2.0, n / 2) if n > 1 else 1.0


def _too_little(path: str) -> str:
    """How little training a run got, in words, where its verdict says that it was too little."""
    report = StoredRun.load(path).report
    verdict = report.get("verdict") or {}
    if not verdict.get("too_little"):
        return ""
    read = f"it went {times(report.get('passes') or 0.0)} through its text"
    minutes = verdict.get("minutes")
    if not minutes:
        return read
    return f"{read}, and its loss was still falling (--minutes {minutes:g} by itself may do)"


class ShareTooShortError(ConfigError):
    """The share of a rung does not suffice for two steps."""


class TimeShares:
    """The time budget of a ladder: each rung that is trained gets a share of what is left when it
    begins, and leaves the time that it takes to measure it, and to mix it where it is the last.

    weights: of the rungs: the last, which gains most by its minutes, gets a third. trained: those that
    were. ends: when the last share is over, by the clock, in seconds.
    """

    def __init__(
        self,
        minutes: float,
        began: float,
        rungs: Mapping[str, Nested],
        path: Path,
        *,
        mixed: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        trained, self._clock = _trained(rungs), clock
        self.trained = [rung for rung in trained if (path / rung).exists()]
        self.minutes, self.path, self.mixed = minutes, path, mixed
        self.weights = dict.fromkeys(trained, 1.0)
        if trained:
            self.weights[trained[-1]] = last_weight(len(trained))
        self.left = [rung for rung in trained if not (path / rung).exists()]
        self.whole = sum(self.weights.values())
        left = sum(self.weights[rung] for rung in self.left)
        self.ends = began + 60 * minutes * (left / self.whole if trained else 1.0)

    def train(self, rung: str, request: Request, callbacks: Sequence[Callback]) -> StoredRun:
        """The run of a rung, trained for its share. Raises ShareTooShortError."""
        request = self.request(rung, request)
        share = float(request.requested("training", "minutes"))
        try:
            run = train(request, out=self.path / rung, callbacks=callbacks)
            self.trained.append(rung)
            return run
        except TooShortError as error:
            enough = self.minutes + 1.1 * (error.needed - share) * self.whole / self.weights[rung]
            there = any((self.path / name).exists() for name in self.weights)
            other = (
                f", and another directory (--out) than {self.path}, or remove it" if there else ""
            )
            raise ShareTooShortError(
                f"minutes: found {self.minutes:g} for {counted(len(self.weights), 'trained rung')}, "
                f"too few here for {rung}, which has {60 * share:.0f} s of them left; give "
                f"{math.ceil(enough * 2) / 2:g} or more"
                f"{other}"
            ) from None

    def request(self, rung: str, request: Request) -> Request:
        """What is requested of the next rung, whose share begins now."""
        began, weights = self._clock(), sum(self.weights[r] for r in self.left)
        share = max(0.01, self.ends - began) * self.weights[rung] / weights / 60
        self.left.remove(rung)
        return replace(
            request,
            settings=merge(request.settings, {"training": {"minutes": share}}),
            began=began,
            # what comes after a rung is much like its report
            reserve=2.0 if self.left or not self.mixed else 4.0,
        )


def _trained(rungs: Mapping[str, Nested]) -> list[str]:
    """The rungs that are trained, not counted."""
    entries = {rung: MODELS[preset["model"]["name"]] for rung, preset in rungs.items()}
    return [rung for rung, entry in entries.items() if not entry.model.fitted]


def _claim(path: Path, facts: dict[str, Any], trained: Sequence[str]) -> None:
    known = path / "ladder.json"
    if path.exists() and not path.is_dir():
        raise RunError(f"{path}: is a file, expected a directory; give another directory (--out)")
    entries = list(path.iterdir()) if path.exists() else []
    if entries and not known.exists():
        raise RunError(f"{path}: exists already and is no ladder; give another directory (--out)")
    climbed = any(entry.is_dir() for entry in entries)
    if climbed:
        before = read_json(known)
        same = ["sha256", "settings"]
        if any((path / rung).exists() for rung in trained):
            same.append("minutes")
        if other := [key for key in same if before.get(key) != facts.get(key)]:
            what = "on another text or with other settings"
            if other == ["minutes"]:
                minutes = before.get("minutes")
                what = f"of {counted(minutes, 'minute')}" if minutes else "of no minutes"
            raise RunError(
                f"{path}: holds a ladder {what}; give another directory (--out) or remove it"
            )
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise not_written(path, error) from None
    if not climbed or read_json(known) != facts:
        write_json(known, facts)


def _mixture(path: Path, rows: Sequence[RunResult]) -> MeasuredRun:
    """The last rung: the best trained rung and the best counts together, two to one."""
    ordered = sorted(rows, key=lambda row: row.validation)
    best = [next(row for row in ordered if row.fitted == fitted) for fitted in (False, True)]
    out, members = path / MIXTURE, [StoredRun.load(s.path) for s in best]
    if out.exists() and not _is_of(out, members):  # they were trained on, or it was killed mixing
        shutil.rmtree(out)
    if not out.exists():
        mix(members, out, [2.0, 1.0])
    return measure(StoredRun.load(out), MIXTURE)


def _is_of(out: Path, members: Sequence[StoredRun]) -> bool:
    """Whether a mixture is whole, and of what these runs are now."""
    if not (out / "report.json").exists():
        return False
    kept, now = (
        StoredRun.load(out).model.state_dict(),
        members_weights([member.model for member in members]),
    )
    return kept.keys() == now.keys() and all(torch.equal(kept[name], now[name]) for name in now)


def passed(measured: Sequence[MeasuredRun]) -> list[str]:
    """Which trained rungs are below the best counts, over all documents and over new ones."""
    counts = [m for m in measured if m.result.fitted]
    trained = [m for m in measured if not m.result.fitted and m.result.name != MIXTURE]
    if not counts or not trained:
        return []
    best = min(counts, key=lambda m: m.result.validation)
    losses = {"validation": (best.result.validation, False)}
    if best.result.unseen is not None and not best.new.all():
        losses["documents not in the training part"] = (best.result.unseen, True)
    sentences = []
    for what, (loss, new) in losses.items():
        found = corrected([difference(best, m, new=new) for m in trained])
        below = [d.other for d in found if d.mean < 0 and d.is_significant]
        alike = [d.other for d in found if math.isfinite(d.mean) and not d.is_significant]
        names = ", ".join(below) if below else "none of the trained rungs"
        names += f"; no significant difference from it: {', '.join(alike)}" if alike else ""
        name = best.result.name
        sentences.append(f"{what}: below {name} ({format_loss(loss)} nats): {names}")
    return sentences
