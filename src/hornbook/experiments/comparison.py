"""Stored runs measured on the same validation text and compared."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from hornbook.config import merge
from hornbook.data.split import Split
from hornbook.errors import ConfigError, RunError
from hornbook.files import user_path
from hornbook.generate import make_generator, sample
from hornbook.metrics.answers import answer_prompts
from hornbook.metrics.comparison import Difference, differences
from hornbook.metrics.groups import grouped, value_words
from hornbook.metrics.loss import summarize, token_nats, unit_sizes
from hornbook.metrics.results import (
    Group,
    MeasuredRun,
    RunResult,
    check_same_text,
    format_loss,
    not_held_out,
    share_of_new,
    unit_edges,
)
from hornbook.metrics.tables import WRITERS, group_rows, run_rows
from hornbook.planning.decision import REQUESTED
from hornbook.runs.commands import resume_command
from hornbook.runs.directory import StoredRun
from hornbook.runs.listing import runs_below
from hornbook.runs.position import saved_total
from hornbook.spelling import spelled
from hornbook.stages import stage
from hornbook.table import Tabular
from hornbook.training.checkpoint import read_position

SAMPLES = 200  # documents sampled for the share of new ones
KEPT = 20  # samples that are shown
NO_SETTINGS = {  # they decide where a run is trained and what is written on the way, not its loss
    "data.corpus", "training.seed", "training.device", "training.threads", "training.compile",
    "training.deterministic", "training.reference", "training.sample_count", "training.probe_every",
}  # fmt: skip
BY_TIME = (  # what a time budget chooses by how many steps fit, unless it is requested
    "training.steps", "training.eval_count", "optim.warmup", "optim.learning_rate",
    "optim.muon_learning_rate", "model.dropout",
)  # fmt: skip


@dataclass(frozen=True, repr=False)
class Comparison(Tabular):
    """Measured runs in the order they were given, and the best group of them against each other one.

    Runs that differ by their seed alone are one group. skipped: what was no run to compare, a line
    each.
    """

    measured: tuple[MeasuredRun, ...]
    differences: tuple[Difference, ...]
    skipped: tuple[str, ...] = field(default=(), kw_only=True)

    @property
    def results(self) -> tuple[RunResult, ...]:
        """The rows of its table of runs."""
        return tuple(m.result for m in self.measured)

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """The runs by their settings, whatever their seeds."""
        return tuple(grouped(self.measured))

    @property
    def named_differences(self) -> list[Difference]:
        """The differences with the names that a reader sees."""
        return list(self.differences)

    @property
    def has_seeds(self) -> bool:
        """Whether a setting has several runs."""
        return any(len(group.runs) > 1 for group in self.groups)

    @property
    def setting_lines(self) -> list[str]:
        """The settings that differ between the groups, a line for each group."""
        return [
            f"{group.name}: "
            + ", ".join(f"{name} {value_words(value)}" for name, value in group.settings.items())
            for group in self.groups
            if group.settings
        ]

    @property
    def sentences(self) -> list[str]:
        """What the figures say, in words."""
        words = not_held_out(self.results)
        for group in self.groups:
            words += group_sentences(group)
        if len(self.groups) == 1 and self.has_seeds:
            words += [_spread(group) for group in self.groups if group.deviation is not None]
            words.append(
                "these runs differ by their seed alone; to compare settings, give runs of another one"
            )
        words += [d.sentence for d in self.named_differences] + left_out_sentences(self.measured)
        if any(d.is_significant and d.seeds and d.seeds_error is None for d in self.differences):
            words.append(
                spelled(
                    "with one seed, another one may decide otherwise; to include that, train each "
                    "setting with several: --seeds 1,2,3"
                )
            )
        if any(d.lacks_seeds for d in self.differences):
            words.append(
                "few seeds say little about how far apart seeds are: with one or two more, "
                "large differences that are not significant now may become so"
            )
        return words

    def to_json(self) -> dict[str, Any]:
        """All figures as plain data."""
        groups = [
            {
                "setting": group.name,
                "settings": dict(group.settings),
                "runs": [m.result.name for m in group.runs],
                "seeds": group.seeds,
                "validation": group.result.validation,
                "standard_error": group.result.validation_error,
                "deviation": group.deviation,
            }
            for group in self.groups
        ]
        pairs = [{**asdict(d), "p": d.p, "sentence": d.sentence} for d in self.differences]
        return {
            "standings": [asdict(result) for result in self.results],
            "groups": groups,
            "differences": pairs,
            "sentences": self.sentences,
            "skipped": self.skipped,
        }

    def table(self, form: str = "markdown") -> str:
        """The table as text: `markdown` or `latex` of the groups, `csv` of the runs, unrounded.

        Raises ConfigError for another form.
        """
        if form not in WRITERS:
            raise ConfigError(f"format: found {form!r}, expected one of {', '.join(WRITERS)}")
        return WRITERS[form](run_rows(self.groups) if form == "csv" else group_rows(self.groups))

    def __str__(self) -> str:
        return "\n".join([self.table(), *self.sentences])

    def table_rows(self) -> list[list[str]]:
        """The groups, best first."""
        return group_rows(self.groups)

    def table_notes(self) -> list[str]:
        """What the figures say, in words."""
        return self.sentences


def _spread(group: Group) -> str:
    losses = [m.result.validation for m in group.runs]
    return (
        f"{group.name}: {len(losses)} seeds, mean validation loss "
        f"{format_loss(group.result.validation)}, from {min(losses):.4f} to {max(losses):.4f}, "
        f"standard deviation {format_loss(group.deviation)}"
    )


def group_sentences(group: Group) -> list[str]:
    """What is to be known of the runs of a group: which are no others, and which are not finished."""
    words = []
    for m in group.repeats:
        (first,) = (r for r in group.runs if r.result.seed == m.result.seed)
        seed = "" if m.result.seed is None else " and seed"
        same = np.array_equal(first.nats, m.nats)
        how = "predict exactly alike" if same else "still do not predict alike"
        words.append(
            f"{first.result.name} and {m.result.name} have the same settings{seed} and {how}; only the "
            "first counts"
        )
    for m in group.runs:
        if not m.result.finished:
            command = resume_command(m.result.path)
            words.append(f"{m.result.name} is not finished: its best weights so far; {command}")
    return words


def left_out_sentences(measured: Sequence[MeasuredRun]) -> list[str]:
    """Which runs leave out characters that another one predicts (`--unknown skip`), in words."""
    most = max((m.bytes.sum() for m in measured), default=0.0)
    return [
        f"{m.result.name} leaves out characters that its base did not know: its losses are of "
        f"{int(m.bytes.sum()):,} of the {int(most):,} bytes that others predict, and do not compare "
        "with theirs"
        for m in measured
        if m.settings.get("finetuning.unknown") == "skip" and m.bytes.sum() < most
    ]


def compare(
    runs: Sequence[StoredRun],
    skipped: Sequence[str] = (),
    on_message: Callable[[str], None] = lambda line: None,
) -> Comparison:
    """Measures runs, groups them by setting, and compares the best group with each other one.

    on_message: called with a line before each run is measured.
    Raises DataError, before any model is run, where their validation texts differ.
    """
    check_same_text([(str(run.path), fingerprint(run.split())) for run in runs])
    measured = []
    for i, (run, name) in enumerate(zip(runs, names_of(runs), strict=True)):
        on_message(f"measuring {i + 1} of {len(runs)}: {name}")
        with stage(f"measuring {name}"):
            measured.append(measure(run, name))
    with stage("testing the differences"):
        found = differences(grouped(measured))
    return Comparison(tuple(measured), tuple(found), skipped=tuple(skipped))


def names_of(runs: Sequence[StoredRun]) -> list[str]:
    """A name for each run: that of its directory, with as much of the path as tells them apart."""
    names = [run.path.name for run in runs]
    if len(set(names)) == len(names):
        return names
    paths = [run.path.absolute() for run in runs]
    common = os.path.commonpath([path.parent for path in paths])
    names = [path.relative_to(common).as_posix() for path in paths]
    return names if len(set(names)) == len(names) else [str(run.path) for run in runs]


def find_runs(paths: Sequence[str | Path]) -> tuple[list[StoredRun], list[str]]:
    """The runs in directories, and a line for each that is none or has nothing to compare yet.

    A directory that is no run itself, such as that of a sweep or a ladder, stands for the runs in it.
    Raises RunError for a path where there is nothing.
    """
    runs: list[StoredRun] = []
    skipped: list[str] = []
    for given in paths:
        path = user_path(given, RunError)
        if not os.path.lexists(path):
            StoredRun.load(path)  # says what is there instead
        found = runs_below(path)
        if not found:
            what = "no run in it" if path.is_dir() else "a file, not a run directory"
            skipped.append(f"{path}: skipped: {what}")
        for folder in found:
            try:
                run = StoredRun.load(folder)
            except RunError as error:
                skipped.append(f"skipped: {error}")
                continue
            if (folder / "model.safetensors").exists() or run.report:
                runs.append(run)
            else:
                command = resume_command(folder)
                skipped.append(f"{folder}: skipped: no weights saved yet; {command}")
    return runs, skipped


def settings_of(run: StoredRun) -> dict[str, Any]:
    """All settings that decide the loss of a run but its seed, by dotted name.

    Of a run with a time budget, what the budget chose is left out: the minutes are the setting. The
    precision is the one it was trained in, also where a measurement chose it.
    """
    overrides = read_position(run.path).get("overrides", {})
    sections = merge(run.config.model_dump(mode="json"), {"optim": overrides})
    settings = {
        f"{s}.{name}": value for s, fields in sections.items() for name, value in fields.items()
    }
    settings["training.steps"] = saved_total(run.path) or settings["training.steps"]
    settings["training.precision"] = run.facts["hardware"]["precision"]
    chosen = {
        name for name, d in run.facts.get("decisions", {}).items() if d["reason"] != REQUESTED
    }
    if run.model.fitted:  # nothing is trained
        settings = {n: v for n, v in settings.items() if not n.startswith(("optim.", "training."))}
        return {n: v for n, v in settings.items() if n not in NO_SETTINGS}
    left_out = set(NO_SETTINGS)
    if settings["training.minutes"] is not None:
        left_out |= chosen & set(BY_TIME)
    if run.facts.get("mixed"):  # runs of other seeds make another mixture
        settings["mixed"] = list(run.facts["mixed"])
    return {name: value for name, value in settings.items() if name not in left_out}


def measure(run: StoredRun, name: str) -> MeasuredRun:
    """Evaluates a run on its validation and test parts and draws samples from it."""
    split, model, tokenizer = run.split(), run.model, run.tokenizer
    part = split.part("val", tokenizer)
    nats = token_nats(model, part)
    validation = summarize(nats, part, model.context_length)
    edges, widths = unit_edges(part, tokenizer)
    sums = np.add.reduceat(nats, edges)
    tokens = unit_sizes(part, edges).astype(np.float64)
    unseen = unseen_bits = test = None
    new = np.ones(len(sums), dtype=np.bool_)
    if split.documents and split.in_memory:  # of a large text only excerpts are at hand
        known = set(split.train)
        new = np.array([text not in known for text in split.validation])
        if new.all():
            unseen, unseen_bits = validation.nats, validation.bits_per_byte
        elif new.any():
            total = float(sums[new].sum())
            unseen = total / float(tokens[new].sum())
            unseen_bits = total / math.log(2) / float(widths[new].sum())
    if split.test:
        held = split.part("test", tokenizer)
        test = summarize(token_nats(model, held), held, model.context_length)
    n, tokens_each = (SAMPLES, 200) if split.documents else (1, 500)
    generator = make_generator(run.config.training.seed)
    if (template := run.template) is not None:
        texts = answer_prompts(model, tokenizer, part, KEPT, template, generator, tokens_each)
    else:
        drawn = sample(model, tokenizer, n=n, max_tokens=tokens_each, generator=generator)
        texts = [s.text for s in drawn]
    report, log = run.report, run.log
    result = RunResult(
        name=name,
        model=run.config.model.name,
        path=str(run.path),
        tokenizer=tokenizer.fingerprint,
        held_out=split.held_out,
        fitted=model.fitted,
        parameters=int(run.facts["n_parameters"]) or model.n_parameters,
        seconds=float(report.get("seconds") or (log[-1]["seconds"] if log else 0.0)),
        tokens=int(report.get("tokens") or (log[-1]["tokens"] if log else 0)),
        validation=validation.nats,
        validation_error=validation.standard_error,
        unseen=unseen,
        test=test.nats if test else None,
        test_error=test.standard_error if test else None,
        bits_per_byte=validation.bits_per_byte,
        unseen_bits=unseen_bits,
        test_bits=test.bits_per_byte if test else None,
        new=share_of_new(texts, split),
        samples=tuple(texts[:KEPT]),
        seed=None if model.fitted else run.config.training.seed,
        finished=bool(report),
    )
    return MeasuredRun(
        result, fingerprint(split), sums, tokens, widths, new, settings_of(run), split.documents
    )


def fingerprint(split: Split) -> str:
    """The sha256 of the validation texts, in their order."""
    joined = "\n".join(split.validation).encode("utf-8", "surrogatepass")
    return hashlib.sha256(joined).hexdigest()
