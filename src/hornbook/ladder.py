"""The ladder: every rung trained on the same split, then one table and one picture.

A ladder is a directory of runs, one a rung, with `ladder.json` and `ladder.png` beside them. What is
there already is not done again: finished rungs are kept, an interrupted one goes on where it was.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hornbook import presets
from hornbook.config import DataConfig, Nested, TrainingConfig, merge
from hornbook.data.corpora import load_corpus
from hornbook.diagnostics.compare import (
    Difference,
    Measured,
    Standing,
    check_same_text,
    differences,
    in_words,
    measure,
    not_held_out,
)
from hornbook.diagnostics.standings import standings
from hornbook.errors import ConfigError, RunError, did_you_mean
from hornbook.files import not_written, read_json, write_bytes, write_json
from hornbook.mixing import mix
from hornbook.models.registry import MODELS
from hornbook.run import Run
from hornbook.training.callbacks import Callback
from hornbook.training.start import resume, train

MIXTURE = "mixture"


@dataclass(frozen=True)
class Ladder:
    """A climbed ladder: standings in the order of the rungs, and the best against each other."""

    path: Path
    corpus: str
    standings: tuple[Standing, ...]
    differences: tuple[Difference, ...]

    @property
    def sentences(self) -> list[str]:
        """What the figures say, in plain words."""
        told = [difference.sentence for difference in self.differences] + passed(self.standings)
        return not_held_out(self.standings) + told


def climb(
    corpus: str = "names",
    *,
    rungs: Sequence[str] = (),
    out: Path | None = None,
    settings: dict[str, dict[str, Any]] | None = None,
    callbacks: Sequence[Callback] = (),
    report: Callable[[Standing], None] = lambda _: None,
    minutes: float | None = None,
) -> Ladder:
    """Trains each rung of the ladder for this kind of text (or only those named) and measures it.

    The table is of these rungs and of all others that were finished in the same directory before.
    report: called with the standing of each rung asked for, as soon as it is known.
    minutes: for all rungs that are trained; each makes the updates that fit into its share.
    Raises ConfigError for an unknown rung, RunError where `out` holds another ladder, is a file, or
    cannot be written.
    """
    data = DataConfig.parse({**(settings or {}).get("data", {}), "corpus": corpus}, "data")
    text = load_corpus(data)
    whole = presets.ladder(documents=text.kind == "documents")
    for rung in rungs:
        if rung not in whole:
            raise ConfigError(f"rung: found {rung!r}, no such rung{did_you_mean(rung, whole)}")
    path = out or Path("runs") / f"ladder-{text.name}"
    facts = {"ladder": 1, "corpus": text.source, "sha256": text.sha256, "settings": settings or {}}
    shares: dict[str, float] = {}
    if minutes is not None:
        checked = TrainingConfig.parse({"minutes": minutes}, "training").minutes
        facts["minutes"] = checked
        shares = _shares(checked or 0.0, {rung: whole[rung] for rung in rungs or whole})
    _claim(path, facts)
    known: dict[str, Measured] = {}
    for rung in dict.fromkeys(rungs or whole):
        asked = settings or {}
        if rung in shares:
            asked = merge(asked, {"training": {"minutes": shares[rung]}})
        run = _rung(path / rung, corpus, whole[rung], asked, callbacks)
        known[rung] = measure(run, rung)
        report(known[rung].standing)
    if not rungs:
        known[MIXTURE] = _mixture(path, [m.standing for m in known.values()])
        report(known[MIXTURE].standing)
    for name in (*whole, MIXTURE):
        if name not in known and (path / name / "report.json").exists():
            known[name] = measure(Run.load(path / name), name)
    measured = [known[name] for name in (*whole, MIXTURE) if name in known]
    check_same_text(measured)
    rows = tuple(m.standing for m in measured)
    found = tuple(differences(measured))
    ladder = Ladder(path, text.source, rows, found)
    write_json(
        path / "ladder.json",
        {**facts, "standings": [row.to_json() for row in rows], "sentences": ladder.sentences},
    )
    figure = standings(rows, f"The ladder on {text.name}")
    write_bytes(path / "ladder.png", figure.png())
    write_bytes(path / "ladder.svg", figure.svg().encode())
    return ladder


def _shares(minutes: float, rungs: dict[str, Nested]) -> dict[str, float]:
    """Minutes of each rung that is trained: the last, which gains most by them, gets a third."""
    entries = {rung: MODELS[preset["model"]["name"]] for rung, preset in rungs.items()}
    trained = [rung for rung, entry in entries.items() if not entry.load(entry.model).fitted]
    if not trained:
        return {}
    weights = dict.fromkeys(trained, 1.0)
    weights[trained[-1]] = max(1.0, len(trained) / 2)
    return {rung: minutes * weight / sum(weights.values()) for rung, weight in weights.items()}


def _claim(path: Path, facts: dict[str, Any]) -> None:
    known = path / "ladder.json"
    if known.exists():
        before = read_json(known)
        if any(before.get(key) != facts.get(key) for key in ("sha256", "settings", "minutes")):
            raise RunError(
                f"{path}: holds a ladder on another text or with other settings; give another "
                "place (--out) or remove it"
            )
    elif path.exists() and not path.is_dir():
        raise RunError(f"{path}: is a file, expected a directory; give another place (--out)")
    elif path.exists() and any(path.iterdir()):
        raise RunError(f"{path}: exists already and is no ladder; give another place (--out)")
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise not_written(path, error) from None
    if not known.exists():
        write_json(known, facts)


def _rung(
    path: Path, corpus: str, preset: Nested, settings: Nested, callbacks: Sequence[Callback]
) -> Run:
    """The run of a rung, trained as `hornbook train` would: what nobody asked for is fitted to the
    text."""
    if (path / "report.json").exists():
        return Run.load(path)
    if path.exists():
        return resume(path, callbacks=callbacks)
    return train(corpus, preset=preset, out=path, settings=settings, callbacks=callbacks)


def _mixture(path: Path, rows: Sequence[Standing]) -> Measured:
    """The last rung: the best trained rung and the best counts together, two to one."""
    best = [
        min((s for s in rows if s.fitted == fitted), key=lambda s: s.validation)
        for fitted in (False, True)
    ]
    out = path / MIXTURE
    if not (out / "report.json").exists():
        if out.exists():  # killed while mixing
            shutil.rmtree(out)
        mix([Run.load(s.path) for s in best], out, [2.0, 1.0])
    return measure(Run.load(out), MIXTURE)


def passed(rows: Sequence[Standing]) -> list[str]:
    """Where trained rungs pass the best counts, in all and on documents that are new."""
    counts = [s for s in rows if s.fitted]
    trained = [s for s in rows if not s.fitted]
    if not counts or not trained:
        return []
    sentences = []
    for what, loss in (
        ("validation", _validation),
        ("documents not in the training part", _unseen),
    ):
        known = [s for s in counts if loss(s) is not None]
        others = [s for s in trained if loss(s) is not None]
        if not known or not others:
            continue
        best = min(known, key=lambda s: loss(s) or 0.0)
        better = [s.name for s in others if (loss(s) or 0.0) < (loss(best) or 0.0)]
        names = ", ".join(better) if better else "none of the trained rungs"
        sentences.append(f"{what}: below {best.name} ({in_words(loss(best))} nats): {names}")
    return sentences


def _validation(standing: Standing) -> float | None:
    return standing.validation


def _unseen(standing: Standing) -> float | None:
    return standing.unseen
