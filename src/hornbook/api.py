"""The public API: train, resume, load, compare, sweep, mix, import_model, ladder, lr_find;
and `Run` (`run.py`).

The command line goes through this module as well, so it draws the same samples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hornbook import arguments
from hornbook.config import Nested
from hornbook.errors import ConfigError, in_terminal
from hornbook.experiments import comparison, mixture
from hornbook.experiments.lr_finder import LearningRateSweep, find_learning_rate
from hornbook.planning.request import read_request, setting_of
from hornbook.planning.resolve import resolve
from hornbook.pretrained.importing import import_base
from hornbook.process import standard_defaults, training_state
from hornbook.run import Run as Run
from hornbook.runs.directory import StoredRun, is_run
from hornbook.spelling import speaks_python
from hornbook.training import session
from hornbook.training.callbacks.base import Callback
from hornbook.training.callbacks.progress import heartbeat_of, with_progress

if TYPE_CHECKING:  # loaded where they are used: matplotlib is slow to import
    from hornbook.experiments.ladder import Ladder
    from hornbook.experiments.sweep import Swept
    from hornbook.metrics.results import RunResult


@speaks_python
def load(path: str | Path) -> Run:
    """The run in a directory. Raises RunError where there is none."""
    return Run.load(arguments.path(path, "path"))


@speaks_python
def train(
    corpus: str | Path | None = None,
    *,
    model: str | None = None,
    preset: str | Nested | None = None,
    base: str | Path | StoredRun | None = None,
    unknown: str | None = None,
    steps: int | None = None,
    epochs: float | None = None,
    seed: int | None = None,
    out: str | Path | None = None,
    device: str | None = None,
    precision: str | None = None,
    minutes: float | None = None,
    began: float | None = None,
    exportable: bool = False,
    settings: Mapping[str, Any] | None = None,
    callbacks: Sequence[Callback] = (),
    progress: bool | None = None,
    overwrite: bool = False,
    **short_names: Any,
) -> Run:
    """Trains a model on a corpus (a registry name or a path) and returns its run.

    preset: a name, or sections of fields in place of one.
    settings: dotted fields, such as `{"model.n_layer": 4}`, or sections of fields, as in TOML.
    base: a run, or the directory of one or of a model that others trained; its weights are trained
        further on this corpus. `settings={"finetuning.lora_rank": 8}` trains LoRA's matrices alone.
    unknown: "skip" leaves out the characters of the corpus that the base does not know.
    epochs: passes through the training part, in place of steps.
    minutes: a time budget: training ends after so many, and chooses model, size, context, batch and
        steps for it, unless they are requested. Counted from `began` (time.monotonic()), by default
        from this call. exportable: the model is the gpt, which other software reads.
    out: the run directory to make; by default one that is not there yet, `runs/<corpus>-<model>` or
        with a number after it. overwrite: removes an earlier run in `out` when training begins.
    progress: shows what is going to happen and how far it is; by default on a terminal and in a
        notebook.
    short_names: settings as the command line calls them, such as `lr=0.01, batch_size=32, layers=2`.
    Seeds torch's global generator. Raises ConfigError, DataError or RunError, the last also while
    another training runs in this process; Interrupted after the state was saved on Ctrl-C.
    """
    if "seeds" in short_names:
        raise ConfigError(
            "seeds: found it for a single run; hornbook.sweep(corpus, seeds=[1, 2]) trains one with "
            "each seed"
        )
    where = None if out is None else arguments.path(out, "out")
    request = read_request(
        corpus, model=model, preset=preset, settings=settings, began=began, steps=steps,
        epochs=epochs, seed=seed, device=device, precision=precision, minutes=minutes,
        exportable=exportable, unknown=unknown,
        base=base.path if isinstance(base, StoredRun) else base, **short_names,
    )  # fmt: skip
    shown = with_progress(callbacks, progress)
    overwrite = arguments.truth(overwrite, "overwrite")
    try:
        with heartbeat_of(shown):
            return Run.of(session.train(request, out=where, callbacks=shown, overwrite=overwrite))
    except ConfigError as error:
        again = where is not None and is_run(Path(where))  # of a cell that is run again
        if again and not in_terminal.get():
            error.args = (f"{error}, or overwrite=True",)
        raise


@speaks_python
def resume(
    path: str | Path,
    *,
    steps: int | None = None,
    settings: Mapping[str, Any] | None = None,
    callbacks: Sequence[Callback] = (),
    progress: bool | None = None,
) -> Run:
    """Continues an interrupted run, or trains a finished one to more `steps` in total.

    settings: dotted; learning rates and clipping of `optim` may be changed, for a run that diverged.
    progress: as for `train`.
    Raises RunError where there is nothing to resume from or another process trains it, DataError
    where the corpus has changed.
    """
    shown = with_progress(callbacks, progress)
    with heartbeat_of(shown):
        run = session.resume(
            arguments.path(path, "path"),
            steps=None if steps is None else arguments.integer(steps, "steps"),
            settings=arguments.mapping(settings, "settings"),
            callbacks=shown,
        )
    return Run.of(run)


@speaks_python
@standard_defaults()
def compare(
    runs: str | Path | StoredRun | Sequence[str | Path | StoredRun],
    *more: str | Path | StoredRun,
    on_message: Callable[[str], None] = lambda line: None,
) -> comparison.Comparison:
    """Measures runs and compares the best with each other one; runs that differ by their seed alone
    are compared together, as one group.

    runs: runs or their directories, in a list or one after the other. A directory of runs, such as
        that of a sweep, stands for those in it; what is no run is skipped, with a line in `skipped`.
    on_message: called with a line before each run is measured.
    Raises DataError where their validation texts differ, ConfigError for fewer than two.
    """
    found: list[StoredRun] = []
    skipped: list[str] = []
    one = isinstance(runs, str | Path | StoredRun)
    given = [runs] if one else arguments.several(runs, "runs")
    for i, run in enumerate([*given, *more]):
        if isinstance(run, StoredRun):
            found.append(run)
        else:
            stored, lines = comparison.find_runs([arguments.path(run, f"runs[{i}]")])
            found += stored
            skipped += lines
    if len(found) < 2:
        runs_found = f"{len(found)} run{'' if len(found) == 1 else 's'}"
        lines = [f"RUN: found {runs_found}, expected two or more to compare", *skipped]
        raise ConfigError("\n  ".join(lines))
    return comparison.compare(found, skipped, on_message)


@speaks_python
@standard_defaults()
def sweep(
    corpus: str | Path | None = None,
    *,
    over: Mapping[str, Any] | None = None,
    seeds: Iterable[int] = (),
    trials: int | None = None,
    model: str | None = None,
    preset: str | Nested | None = None,
    steps: int | None = None,
    minutes: float | None = None,
    exportable: bool = False,
    out: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    callbacks: Sequence[Callback] = (),
    progress: bool | None = None,
    on_message: Callable[[str], None] = lambda line: None,
    **short_names: Any,
) -> Swept:
    """Trains every combination of the values in `over` with each seed, and compares them.

    over: `{"optim.learning_rate": [0.001, 0.01]}`; with `trials`, of which optuna chooses so many,
        also a range: `{"optim.learning_rate": "1e-4..1e-2"}`.
    short_names: as for `train`; a list, as in `lr=[0.001, 0.01]`, is varied.
    minutes: of each run. The rest is as for `train`; what is finished in `out` is not trained again,
        and what was interrupted is resumed (`experiments.sweep`).
    """
    from hornbook.experiments.sweep import sweep as run_sweep

    varied = {name: v for name, v in short_names.items() if isinstance(v, list | tuple)}
    fixed = {name: v for name, v in short_names.items() if name not in varied}
    request = read_request(
        corpus, model=model, preset=preset, settings=settings, steps=steps, minutes=minutes,
        exportable=exportable, **fixed,
    )  # fmt: skip
    space = {} if over is None else dict(arguments.mapping(over, "over"))
    return run_sweep(
        request,
        over=space | {setting_of(name): values for name, values in varied.items()},
        seeds=[arguments.integer(seed, "seeds") for seed in arguments.several(seeds, "seeds")],
        trials=None if trials is None else arguments.integer(trials, "trials"),
        out=None if out is None else Path(arguments.path(out, "out")),
        callbacks=with_progress(callbacks, progress, brief=True),
        on_message=on_message,
    )


@speaks_python
@standard_defaults()
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
    found = _stored(arguments.several(runs, "runs"))
    found = [StoredRun.load(r.path) if r in found[:i] else r for i, r in enumerate(found)]
    shares = [
        arguments.number(weight, "weights") for weight in arguments.several(weights, "weights")
    ]
    order = None if counts is None else arguments.integer(counts, "counts")
    return Run.of(mixture.mix(found, Path(arguments.path(out, "out")), shares, counts=order))


@speaks_python
@standard_defaults()
def import_model(
    source: str | Path,
    out: str | Path | None = None,
    *,
    on_message: Callable[[str], None] = lambda line: None,
) -> Run:
    """A run made of a model that others trained, without training it.

    source: a directory of Hugging Face's transformers, of GPT-2, Llama or Qwen3 with its weights in
        safetensors, or a GGUF file. out: the run directory to make; `runs/<name>` if left out.
    on_message: called with each sentence about what is not as in the source.
    The text that it was trained on is unknown. Raises ConfigError or RunError for what hornbook cannot
    represent, and says what that is.
    """
    where = None if out is None else Path(arguments.path(out, "out"))
    made = import_base(arguments.path(source, "source"), where)
    for note in made.notes:
        on_message(note)
    return Run.of(made.run)


@speaks_python
@standard_defaults()
def ladder(
    corpus: str | Path = "names",
    *,
    rungs: Sequence[str] = (),
    out: str | Path | None = None,
    settings: dict[str, dict[str, Any]] | None = None,
    minutes: float | None = None,
    began: float | None = None,
    callbacks: Sequence[Callback] = (),
    report: Callable[[RunResult], None] = lambda _: None,
    progress: bool | None = None,
) -> Ladder:
    """Trains each rung on the same split and compares them (`experiments.ladder.climb`).

    rungs: names of some of them; all by default. progress: as for `train`.
    """
    from hornbook.experiments.ladder import climb

    return climb(
        arguments.path(corpus, "corpus"),
        rungs=arguments.texts(rungs, "rungs"),
        out=None if out is None else Path(arguments.path(out, "out")),
        settings={k: dict(v) for k, v in arguments.mapping(settings, "settings").items()},
        callbacks=with_progress(callbacks, progress, brief=True),
        report=report,
        minutes=None if minutes is None else arguments.number(minutes, "minutes"),
        began=began,
    )


@speaks_python
def lr_find(
    corpus: str | Path | None = None,
    *,
    model: str | None = None,
    preset: str | Nested | None = None,
    settings: Mapping[str, Any] | None = None,
    low: float = 1e-3,
    high: float = 1.0,
    steps: int = 300,
    **short_names: Any,
) -> LearningRateSweep:
    """Sweeps the learning rate from low to high over so many steps and tries what that suggests.

    settings, short_names: as those of `train`. See `experiments.lr_finder.find_learning_rate`.
    """
    request = read_request(
        corpus, model=model, preset=preset, settings=settings, compile="no", **short_names
    )
    with training_state("lr_find"):
        return find_learning_rate(
            resolve(request),
            low=arguments.number(low, "low"),
            high=arguments.number(high, "high"),
            steps=arguments.integer(steps, "steps"),
        )


def _stored(runs: Sequence[str | Path | StoredRun]) -> list[StoredRun]:
    return [
        run if isinstance(run, StoredRun) else StoredRun.load(arguments.path(run, f"runs[{i}]"))
        for i, run in enumerate(runs)
    ]
