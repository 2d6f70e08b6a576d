"""The run directory: all there is to know about a trained model, moved by moving it.

    config.json        settings resolved, versions, corpus fingerprint, hardware; "format": 3
    tokenizer.json     the Hugging Face tokenizers format
    model.safetensors  the best weights by validation loss
    log.jsonl          one object a line while training
    samples.jsonl      samples of the weights at some steps, one object a line
    last/              the states to resume from (`training/checkpoint.py`)
    report.json        final figures
    probes.jsonl       what probes recorded while training (`training/callbacks/probes.py`)
    lock, lock.json    held while it is trained, and by whom (`runs/lock.py`)

JSON and safetensors only: nothing in a run directory is ever executed or unpickled, and nothing in
it is believed before it is checked (`files.py`, `runs/schema.py`).
"""

from __future__ import annotations

import glob
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from hornbook.config import RunConfig
from hornbook.data.chat_forms import find_form
from hornbook.data.corpora import CORPORA
from hornbook.data.corpus import Corpus
from hornbook.data.limits import LIMITS
from hornbook.data.part import Part
from hornbook.data.sources.hub import HUB
from hornbook.data.sources.standard_input import is_kept
from hornbook.data.split import Split, split_corpus
from hornbook.data.template import Template
from hornbook.errors import ConfigError, RunError, counted, did_you_mean
from hornbook.files import (
    Header,
    not_written,
    read_json,
    read_lines,
    read_tensors,
    sync,
    user_path,
    write_json,
)
from hornbook.machine import alive
from hornbook.models.base import LanguageModel
from hornbook.models.registry import build_empty, build_on_meta, parse_run_config
from hornbook.runs.commands import resume_command
from hornbook.runs.position import saved_step, saved_total
from hornbook.runs.schema import FORMAT, Facts, Record, Report, SampleRecord, checked, migrated
from hornbook.runs.text import TrainedText
from hornbook.tokenizers import Tokenizer, load_tokenizer
from hornbook.tokenizers.base import LINE_BREAK, NULL, Unknown

SAMPLES = "samples.jsonl"


class StoredRun:
    """A run directory: a trained model with its tokenizer, settings, log and report."""

    def __init__(self, path: Path, facts: Mapping[str, Any], config: RunConfig) -> None:
        self.path = path
        self.facts = facts
        self.config = config
        self.alone: str | None = None  # the part of the model that this is the run of (`with_part`)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """The run in a directory; model and tokenizer are read when they are first used.

        Raises RunError where it is no run directory, or of a format that this version cannot read.
        """
        path = user_path(path, RunError)
        if not path.is_dir():
            found = "a file" if path.exists() else "nothing"
            known = _names_of_runs(path.parent)
            hint = did_you_mean(path.name, known) if known else ""
            if os.path.isfile(Path("runs") / path / "config.json"):  # its name alone was given
                hint = f"; did you mean {str(Path('runs') / path)!r}?"
            raise RunError(f"{path}: found {found}, expected a run directory{hint}")
        file = path / "config.json"
        if not user_path(file, RunError).is_file():
            inside = _names_of_runs(path)
            hint = f"; there are runs in it: {', '.join(inside[:8])}" if inside else ""
            raise RunError(
                f"{path}: found no config.json, expected a run directory that hornbook wrote{hint}"
            )
        facts = migrated(file, read_json(file))
        checked(file, facts, Facts)
        try:
            return cls(path, facts, parse_run_config(facts["config"]))
        except ConfigError as error:
            raise RunError(
                f"{file}: damaged, or written by another version of hornbook: {error}"
            ) from None

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer, from tokenizer.json."""
        file = self.path / "tokenizer.json"
        tokenizer, expected = load_tokenizer(file, self.document_end), self.facts["vocab_size"]
        if tokenizer.vocab_size != expected or (tokenizer.end_id is None) == self.documents:
            kind = self.facts["corpus"]["kind"]
            raise RunError(
                f"{file}: found {tokenizer.vocab_size} ids, expected {expected}, of {kind}; it is "
                "of another run"
            )
        return tokenizer

    @cached_property
    def model(self) -> LanguageModel:
        """The model with its best weights, on the CPU, in evaluation mode."""
        file = self.path / "model.safetensors"
        if not os.path.exists(file) and not self.report:
            raise RunError(
                f"{self.path}: has no weights yet: it was stopped before its first evaluation; to "
                f"resume it: {resume_command(self.path)}"
            )
        known = self.config.model, self.tokenizer.vocab_size, self.tokenizer.end_id

        def check(header: Header) -> None:  # before any memory is taken
            build_on_meta(*known).check_weights(header.tensors)

        weights = read_tensors(file, check)
        model = build_empty(*known)
        try:
            model.load_weights(weights)
        except RunError as error:
            raise RunError(f"{file}: {error}") from None
        return model.eval()

    def with_part(self, name: str) -> Self:
        """The run with one part of its model (`LanguageModel.parts`) in place of the whole, to sample,
        score, evaluate and export.

        Its report has the losses of that part alone. Raises ConfigError where there is no such part.
        """
        part = self.model.part(name)
        config = self.config.model_copy(update={"model": part.config})
        facts = {**self.facts, "n_parameters": part.n_parameters}
        run = type(self)(self.path, facts, config)
        run.alone = name
        run.__dict__["model"] = part.eval()
        return run

    @property
    def log(self) -> list[dict[str, Any]]:
        """The training log, one object an entry."""
        return self.read_log()

    def read_log(self, damage: list[str] | None = None) -> list[dict[str, Any]]:
        """The training log. Raises RunError where a line is damaged; where `damage` is given, the
        error is put there instead and the log ends with the line before."""
        file = self.path / "log.jsonl"
        return read_lines(file, lambda record: checked(file, record, Record), damage=damage)

    @property
    def samples(self) -> list[dict[str, Any]]:
        """Samples while it was trained, `step` and `texts` of each time, as far as they can be read."""
        file = self.path / SAMPLES
        return read_lines(file, lambda line: checked(file, line, SampleRecord), damage=[])

    @property
    def report(self) -> dict[str, Any]:
        """The final figures; empty while the run has not ended."""
        file = self.path / "report.json"
        if not os.path.lexists(file):
            return {}
        report = read_json(file)
        checked(file, report, Report)
        return report if self.alone is None else _report_of(report, self.alone)

    @property
    def imported(self) -> str:
        """What it was imported from, by name and form; empty where it was trained here."""
        found = self.facts.get("imported")
        return f"{Path(found['source']).name} ({found['form']})" if found else ""

    @property
    def documents(self) -> bool:
        """Whether it was trained on documents rather than a stream."""
        return bool(self.facts["corpus"]["kind"] == "documents")

    @property
    def document_end(self) -> str:
        """The character that ends each document in text: NULL where they may hold line breaks."""
        return self._text.document_end

    @property
    def line_breaks(self) -> bool:
        """Whether its documents hold line breaks, as far as its tokenizer knows."""
        characters = getattr(self.tokenizer, "characters", LINE_BREAK)
        return self.document_end == NULL and LINE_BREAK in characters

    @property
    def large(self) -> bool:
        """Whether its corpus was too large for memory, so that only excerpts of it are at hand."""
        return int(self.facts["corpus"]["bytes"]) >= LIMITS.in_memory

    @property
    def _text(self) -> TrainedText:
        return TrainedText(self.facts["corpus"], self.config.data, self.path)

    @property
    def template(self) -> Template | None:
        """How prompts and answers become text; None where it was not trained on such."""
        if text := (self.facts.get("imported") or {}).get("template"):
            form = find_form(text)
            return None if form is None else Template.of_form(form)
        return self._text.template

    def corpus(self) -> Corpus:
        """The corpus it was trained on, read again (`TrainedText.read`).

        Raises DataError where it is nowhere.
        """
        return self._text.read()

    def split(self) -> Split:
        """The texts of its train, validation and test parts."""
        unknown = self.config.finetuning.unknown
        return split_corpus(self.corpus(), self.config.data, self.tokenizer, unknown)

    def part(
        self,
        split: str = "val",
        *,
        corpus: str | Path | Corpus | None = None,
        encoding: str | None = None,
        unknown: Unknown = "error",
    ) -> Part:
        """A part of its split as tokens, or another text whole (`other_text`)."""
        if corpus is None:
            if encoding is not None:
                raise ConfigError(
                    "encoding: found it without another text; that of the run's own text is known"
                )
            return self.split().part(split, self.tokenizer, unknown=unknown)
        other = corpus if isinstance(corpus, Corpus) else self.other_text(corpus, encoding)
        tokenizer = self.tokenizer
        if self.documents and other.document_end != self.document_end:
            tokenizer = load_tokenizer(self.path / "tokenizer.json", other.document_end)
        whole = Split.whole(other, tokenizer, unknown=unknown)
        return whole.part("train", tokenizer, unknown=unknown)

    def other_text(
        self, corpus: str | Path, encoding: str | None = None, how: Mapping[str, str] | None = None
    ) -> Corpus:
        """Another text, read as the kind that this run was trained on.

        how: settings of `data` that say how it is read, otherwise as the run's own. encoding: None
        detects it from the file: UTF-8 where it is that, else the one of the run's text.
        Raises ConfigError for an encoding that is unknown, DataError where it cannot be read.
        """
        return self._text.other(corpus, encoding, how or {})

    def __repr__(self) -> str:
        nats = self.report.get("validation", {}).get("nats")
        figure = f", validation {nats:.4f} nats" if nats is not None else ""
        return f"{type(self).__name__}({str(self.path)!r}, {self.config.model.name}{figure})"


def _report_of(report: dict[str, Any], part: str) -> dict[str, Any]:
    """What a report says of one part of the model: how it was trained, and its losses."""
    training = ("steps", "best_step", "tokens", "passes", "seconds", "held_out", "determinism")
    kept = {name: report[name] for name in (*training, "schedule") if name in report}
    losses = report.get("parts", {}).get(part, {})
    return {**kept, "loss": None, "samples": [], "validation": losses}


def check_free(path: Path) -> None:
    """Raises ConfigError where `path` exists already, or cannot be made."""
    if os.path.lexists(user_path(path, ConfigError)):
        raise ConfigError(f"{path}: {_existing(path)}give another directory (--out)")
    above = next(p for p in path.absolute().parents if os.path.exists(p))
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise RunError(f"{path}: cannot be made in {above}; give another directory (--out)")


def _existing(path: Path) -> str:
    try:
        run = StoredRun.load(path)
        finished = run.report
    except RunError:
        return "exists already; "
    done = saved_step(path) or (finished["steps"] if finished else 0)
    steps = saved_total(path) or run.config.training.steps
    command = resume_command(path, *([f"--steps {2 * max(steps, done)}"] if finished else []))
    how = f"finished after {counted(done, 'step')}"
    if not finished:
        how = f"{done:,} of {counted(steps, 'step')} done"
    what = f"exists already: {run.config.model.name} on {run.facts['corpus']['name']}, {how}"
    if finished and not (path / "last").exists():  # counted, or mixed: it cannot be trained further
        return f"{what}; "
    return f"{what}; resume it\n  {command}\nor "


def create(
    path: Path, facts: Mapping[str, Any], config: RunConfig, tokenizer: Tokenizer
) -> StoredRun:
    """A new run directory, there whole or not at all.

    Raises ConfigError where the path exists already, RunError where it cannot be made.
    """
    check_free(path)
    corpus = {**facts["corpus"], "relative": _relative(config.data.corpus, path)}
    if base := facts.get("base"):
        facts = {**facts, "base": {**base, "relative": _relative(config.finetuning.base, path)}}
    facts = {"format": FORMAT, **facts, "corpus": corpus, "config": config.model_dump(mode="json")}
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    for other in path.parent.glob(f".{glob.escape(path.name)}.*.partial"):
        if not alive(other.name.split(".")[-2]):  # killed while it made a run of this name
            shutil.rmtree(other, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        tokenizer.save(partial / "tokenizer.json")
        write_json(partial / "config.json", facts)
        if config.data.corpus and is_kept(
            Path(config.data.corpus)
        ):  # it was piped in, and is nowhere else
            shutil.copyfile(config.data.corpus, partial / "corpus.txt")
        partial.rename(path)
        sync(path.parent)
    except (OSError, RunError) as error:
        shutil.rmtree(partial, ignore_errors=True)
        if isinstance(error, RunError):
            raise
        check_free(path)  # another process may have been faster
        raise not_written(path, error) from None
    return StoredRun(path, facts, config)


def is_run(path: Path) -> bool:
    """Whether there is a run, and no link to one."""
    try:
        StoredRun.load(path)
    except RunError:
        return False
    return not path.is_symlink()


def _relative(corpus: str, run: Path) -> str:
    """The path of a text from a run directory; empty for a name of the registry, or on another
    drive."""
    if not corpus or corpus in CORPORA or corpus.startswith(HUB):
        return ""
    with suppress(ValueError, OSError):
        return Path(os.path.relpath(Path(corpus).resolve(), run.resolve())).as_posix()
    return ""


def free_path(name: str) -> tuple[Path, Path | None]:
    """runs/<name>, or runs/<name>-2 and so on where that is taken; and the last that was taken."""
    path, taken, n = Path("runs") / name, None, 2
    while os.path.exists(path):
        path, taken, n = Path("runs") / f"{name}-{n}", path, n + 1
    return path, taken


def unfinished(path: Path) -> str | None:
    """That a run was stopped before its end, and how to resume it; None for any other path."""
    try:
        if StoredRun.load(path).report:
            return None
    except RunError:
        return None
    return f"{path} is not finished; to resume it instead: {resume_command(path)}"


def _names_of_runs(folder: Path) -> list[str]:
    """The directories of runs in a folder; none where it cannot be read."""
    with suppress(OSError):
        return sorted(p.name for p in folder.iterdir() if os.path.isfile(p / "config.json"))
    return []
