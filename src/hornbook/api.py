"""The public API: train, resume, load, compare, sweep, mix, ladder, lr_find, and `Run`.

The command line goes through this module as well, so it draws the same samples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from hornbook.config import Nested
from hornbook.data.corpus import Corpus
from hornbook.errors import ConfigError
from hornbook.experiments import comparison, mixture
from hornbook.experiments.lr_finder import Sweep, find_learning_rate
from hornbook.generate import Sample, Sampling, make_generator, sample, stream
from hornbook.metrics.loss import Evaluation, Score, evaluate, score
from hornbook.metrics.text_index import TextIndex
from hornbook.metrics.typicality import HeldOutTexts
from hornbook.planning.request import read_request
from hornbook.planning.resolve import resolve
from hornbook.runs.directory import StoredRun
from hornbook.tokenizers.base import Unknown
from hornbook.training import session
from hornbook.training.callbacks.base import Callback

if TYPE_CHECKING:  # loaded where they are used: matplotlib is slow to import
    from hornbook.experiments.ladder import Ladder
    from hornbook.experiments.sweep import Swept
    from hornbook.figures.page import Inspection
    from hornbook.metrics.results import RunResult


class Run(StoredRun):
    """A trained model with its tokenizer, settings, log and report. See `hornbook.load`."""

    @classmethod
    def of(cls, run: StoredRun) -> Run:
        """A stored run with the methods of this class."""
        return cls(run.path, run.facts, run.config)

    def evaluate(
        self,
        split: str = "val",
        *,
        corpus: str | Path | Corpus | None = None,
        encoding: str | None = None,
        unknown: Unknown = "error",
    ) -> Evaluation:
        """The loss over a whole part (train, val, test) or another text, every token once.

        encoding: of the other text; detected from it if left out (`StoredRun.other_text`).
        """
        part = self.part(split, corpus=corpus, encoding=encoding, unknown=unknown)
        return evaluate(self.model, part)

    def score(self, texts: str | Sequence[str], *, unknown: Unknown = "error") -> list[Score]:
        """How surprising the model finds each text (`metrics.loss.Score`)."""
        texts = [texts] if isinstance(texts, str) else texts
        return score(self.model, self.tokenizer, texts, unknown=unknown)

    @cached_property
    def held_out_texts(self) -> HeldOutTexts | None:
        """The losses of held-out texts, whose `percentile(score)` says how typical a text is.

        None where the report has none: an earlier version trained the run, or it is not finished.
        """
        texts = self.report.get("held_out_texts")
        return None if texts is None else HeldOutTexts.from_json(texts)

    def sample(
        self,
        n: int = 1,
        *,
        prompt: str = "",
        max_tokens: int = 500,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        min_p: float | None = None,
        stop: Sequence[str] = (),
        seed: int | torch.Generator | None = None,
        unknown: Unknown = "error",
    ) -> list[Sample]:
        """n samples (`generate.sample`); the same seed gives the same samples.

        seed: a generator draws other samples at each call; None draws from a fresh one.
        """
        return sample(
            self.model,
            self.tokenizer,
            n=n,
            prompt=prompt,
            max_tokens=max_tokens,
            sampling=Sampling(temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p),
            stop=stop,
            generator=seed if isinstance(seed, torch.Generator) else make_generator(seed),
            unknown=unknown,
        )

    def stream(
        self,
        *,
        prompt: str = "",
        max_tokens: int = 500,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        min_p: float | None = None,
        stop: Sequence[str] = (),
        seed: int | torch.Generator | None = None,
        unknown: Unknown = "error",
    ) -> Iterator[str]:
        """The text of `sample(1)` with the same options, piece by piece, without the prompt."""
        return stream(
            self.model,
            self.tokenizer,
            prompt=prompt,
            max_tokens=max_tokens,
            sampling=Sampling(temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p),
            stop=stop,
            generator=seed if isinstance(seed, torch.Generator) else make_generator(seed),
            unknown=unknown,
        )

    def mark_copies(self, texts: Sequence[str]) -> list[bool]:
        """Whether each text is a training document, or appears in the training part of a stream.

        Raises DataError where the corpus is gone or has changed.
        """
        return [text in self._text_index for text in texts]

    @cached_property
    def _text_index(self) -> TextIndex:
        return TextIndex(self.split())

    def inspect(
        self,
        folder: str | Path | None = None,
        *,
        text: str | None = None,
        on_message: Callable[[str], None] = lambda line: None,
    ) -> Inspection:
        """Draws every figure that applies and a page with all of them (`figures.page.inspect`)."""
        from hornbook.figures.page import inspect

        return inspect(self, None if folder is None else Path(folder), text, on_message)

    def _repr_html_(self) -> str:
        from hornbook.figures.page import summary

        return summary(self)


def load(path: str | Path) -> Run:
    """The run in a directory. Raises RunError where there is none."""
    return Run.load(path)


def train(
    corpus: str | None = None,
    *,
    model: str | None = None,
    preset: str | Nested | None = None,
    steps: int | None = None,
    seed: int | None = None,
    out: str | Path | None = None,
    device: str | None = None,
    precision: str | None = None,
    minutes: float | None = None,
    began: float | None = None,
    settings: Mapping[str, Any] | None = None,
    callbacks: Sequence[Callback] = (),
) -> Run:
    """Trains a model on a corpus (a registry name or a path) and returns its run.

    preset: a name, or sections of fields in place of one.
    settings: dotted fields, such as `{"model.n_layer": 4}`, or sections of fields, as in TOML.
    minutes: a time budget: training ends after so many, and chooses size, context, batch and steps
        for it, unless they are requested. Counted from `began` (time.monotonic()), by default from
        this call.
    out: the run directory to make; `runs/<corpus>-<model>` if left out.
    Seeds torch's global generator. Raises ConfigError, DataError or RunError; Interrupted after the
    state was saved on Ctrl-C.
    """
    request = read_request(
        corpus, model=model, preset=preset, settings=settings, began=began, steps=steps, seed=seed,
        device=device, precision=precision, minutes=minutes,
    )  # fmt: skip
    return Run.of(session.train(request, out=out, callbacks=callbacks))


def resume(
    path: str | Path,
    *,
    steps: int | None = None,
    settings: Mapping[str, Any] | None = None,
    callbacks: Sequence[Callback] = (),
) -> Run:
    """Continues an interrupted run, or trains a finished one to more `steps` in total.

    settings: dotted; learning rates and clipping of `optim` may be changed, for a run that diverged.
    Raises RunError where there is nothing to resume from or another process trains it, DataError
    where the corpus has changed.
    """
    return Run.of(session.resume(path, steps=steps, settings=settings, callbacks=callbacks))


def compare(
    runs: str | Path | Sequence[str | Path | StoredRun],
    *,
    on_message: Callable[[str], None] = lambda line: None,
) -> comparison.Comparison:
    """Measures runs and compares the best with each other one; runs that differ by their seed alone
    are compared together, as one group.

    runs: runs or their directories. A directory of runs, such as that of a sweep, stands for those in
    it; what is no run is skipped, with a line in `skipped`. on_message: called with a line before
    each run is measured.
    Raises DataError where their validation texts differ, ConfigError for fewer than two.
    """
    found: list[StoredRun] = []
    skipped: list[str] = []
    for run in [runs] if isinstance(runs, str | Path) else runs:
        if isinstance(run, StoredRun):
            found.append(run)
        else:
            stored, lines = comparison.find_runs([run])
            found += stored
            skipped += lines
    if len(found) < 2:
        runs_found = f"{len(found)} run{'' if len(found) == 1 else 's'}"
        lines = [f"RUN: found {runs_found}, expected two or more to compare", *skipped]
        raise ConfigError("\n  ".join(lines))
    return comparison.compare(found, skipped, on_message)


def sweep(
    corpus: str | None = None,
    *,
    over: Mapping[str, Any] | None = None,
    seeds: Sequence[int] = (),
    trials: int | None = None,
    model: str | None = None,
    preset: str | Nested | None = None,
    steps: int | None = None,
    minutes: float | None = None,
    out: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    callbacks: Sequence[Callback] = (),
    on_message: Callable[[str], None] = lambda line: None,
) -> Swept:
    """Trains every combination of the values in `over` with each seed, and compares them.

    over: `{"optim.learning_rate": [0.001, 0.01]}`; with `trials`, of which optuna chooses so many,
        also a range: `{"optim.learning_rate": "1e-4..1e-2"}`.
    minutes: of each run. The rest is as for `train`; what is finished in `out` is not trained again,
        and what was interrupted is resumed (`experiments.sweep`).
    """
    from hornbook.experiments.sweep import sweep as run_sweep

    request = read_request(
        corpus, model=model, preset=preset, settings=settings, steps=steps, minutes=minutes
    )
    return run_sweep(
        request, over=over, seeds=seeds, trials=trials, out=None if out is None else Path(out),
        callbacks=callbacks, on_message=on_message,
    )  # fmt: skip


def mix(
    runs: Sequence[str | Path | StoredRun],
    out: str | Path,
    weights: Sequence[float] = (),
    *,
    counts: int | None = None,
) -> Run:
    """A run whose probabilities are the weighted mean of those of `runs` (weights: equal).

    counts: the order of n-gram counts of the same text that are a further member, the last.

    Raises ConfigError or DataError where they are not of the same corpus, split and tokenizer.
    """
    return Run.of(mixture.mix(_stored(runs), Path(out), weights, counts=counts))


def ladder(
    corpus: str = "names",
    *,
    rungs: Sequence[str] = (),
    out: str | Path | None = None,
    settings: dict[str, dict[str, Any]] | None = None,
    minutes: float | None = None,
    began: float | None = None,
    callbacks: Sequence[Callback] = (),
    report: Callable[[RunResult], None] = lambda _: None,
) -> Ladder:
    """Trains each rung on the same split and compares them (`experiments.ladder.climb`)."""
    from hornbook.experiments.ladder import climb

    return climb(
        corpus, rungs=rungs, out=None if out is None else Path(out), settings=settings,
        callbacks=callbacks, report=report, minutes=minutes, began=began,
    )  # fmt: skip


def lr_find(
    corpus: str | None = None,
    *,
    model: str | None = None,
    preset: str | Nested | None = None,
    settings: Mapping[str, Any] | None = None,
    low: float = 1e-3,
    high: float = 1.0,
    steps: int = 300,
) -> Sweep:
    """Sweeps the learning rate from low to high over so many steps and tries what that suggests.

    settings: as those of `train`. See `experiments.lr_finder.find_learning_rate`.
    """
    request = read_request(corpus, model=model, preset=preset, settings=settings, compile="no")
    plan = resolve(request)
    return find_learning_rate(plan, low=low, high=high, steps=steps)


def _stored(runs: Sequence[str | Path | StoredRun]) -> list[StoredRun]:
    return [run if isinstance(run, StoredRun) else StoredRun.load(run) for run in runs]
