"""The plan of a run: everything resolved before the first update, and said in plain words.

Settings are layered: the preset (or the default of the model for this kind of text), then a TOML file,
then flags. What nobody asked for is fitted to the text (context length, batch size), and said.
"""

from __future__ import annotations

import copy
import math
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor

import hornbook
from hornbook import presets
from hornbook.config import DataConfig, Nested, RunConfig, merge
from hornbook.data.batches import Batches, Draw, WindowBatches, build_batches
from hornbook.data.corpora import load_corpus
from hornbook.data.part import Part, Split, fitting_context
from hornbook.data.part import split_corpus as split_texts
from hornbook.data.text import Corpus
from hornbook.errors import ConfigError, DataError
from hornbook.models.base import LanguageModel
from hornbook.models.registry import MODELS, build_model, model_config
from hornbook.run import parse_config
from hornbook.tokenizers import Tokenizer, build_tokenizer
from hornbook.training.compiled import Form, choose_form, pays_from
from hornbook.training.device import (
    PAYS,
    choose_precision,
    describe_device,
    find_device,
    generators_kept,
    has_bf16,
)
from hornbook.training.memory import refuse_too_large
from hornbook.training.replay import SPAN, is_descent, is_small, span_of
from hornbook.training.step import TrainStep

if TYPE_CHECKING:
    from hornbook.training.budget import Budget

DEFAULT_MODEL = "gpt"
LONGEST_DEFAULT = 256  # tokens of context for long documents, where nobody asks for more
LOOKED_AT = 1 << 24  # windows of a large part that statistics are taken of, tokens counted of it
WINDOWS = 1 << 14  # contexts of the training part computed at once
TRIAL = 1 << 12  # tokens of the steps by which precisions are compared
CROWDED = 3  # parameters for each token of a text: from there on it is a small text
EPOCHS = 12  # through a small text: after more, models learned it by heart (benchmarks/small.py)
NEAR = 1.25  # times as many are left alone
SHARE = 6  # updates in an epoch of a small text, at least
DROPOUT = 0.3  # with so many epochs


@dataclass
class Plan:
    """What is going to be trained, on what, and how. Made by `make_plan`."""

    config: RunConfig
    corpus: Corpus
    split: Split
    tokenizer: Tokenizer
    train_part: Part
    val_part: Part
    model: LanguageModel
    device: torch.device
    notes: list[str] = field(default_factory=list)
    precision: str = "fp32"
    why_precision: str = ""
    compiled: Form = "no"
    why_compiled: str = ""
    extended: bool = False  # a run goes on to more updates than it was given
    memory: str = ""
    budget: Budget | None = None

    @cached_property
    def examples(self) -> Literal["sequences", "windows"]:
        """The form of the batches."""
        asked = self.config.training.examples
        return self.model.examples if asked == "auto" else asked

    @cached_property
    def length(self) -> int:
        """Tokens in a row of the batches."""
        if self.model.sliding and self.examples == "sequences":
            return min(max(64, 4 * self.model.context_length), self.train_part.n_targets)
        return self.model.context_length

    @cached_property
    def batches(self) -> Batches:
        """The batches of the training part."""
        training = self.config.training
        draw = Draw(batch_size=training.batch_size, seed=training.seed, sampling=training.sampling)
        return build_batches(self.train_part, self.examples, self.length, draw, self.device)

    def training_windows(self) -> Iterator[Tensor]:
        """The contexts of all predictions of the training part in order, (n, context) each; of a
        large part about LOOKED_AT of them, evenly spread."""
        draw = Draw(batch_size="all", seed=0)
        batches = WindowBatches(self.train_part, self.model.context_length, draw, self.device)
        n = self.train_part.n_targets
        step = -(-n // LOOKED_AT)  # every window, but of a large part
        for first in range(0, n, WINDOWS * step):
            last = torch.arange(first, min(first + WINDOWS * step, n), step, device=self.device)
            yield batches.windows(last)

    @property
    def tokens_per_step(self) -> float:
        """Tokens predicted in an update, on average."""
        share = self.batches.batch_size / self.batches.items_per_epoch
        share *= self.length if self.batches.overlapping else 1
        full_rows = self.batches.batch_size * (self.length if self.examples == "sequences" else 1)
        return min(self.train_part.n_targets * share, full_rows)

    @property
    def most_updates(self) -> int | None:
        """Updates after which a small training part begins to be learned by heart; None where it is
        not small for this model."""
        if self.model.n_parameters < CROWDED * self.train_part.n_targets:
            return None
        return max(2, round(EPOCHS * self.train_part.n_targets / self.tokens_per_step))

    def lines(self) -> list[tuple[str, str]]:
        """The plan in words: (what, how) pairs for a reader."""
        corpus, training = self.corpus, self.config.training
        unit = "documents" if self.split.documents else "characters"
        sizes = " / ".join(f"{size:,}" for size in self.split.sizes)
        again = "" if self.split.held_out else "; validation is the training part again"
        number = f", {self.model.n_parameters:,} parameters"
        if self.model.fitted:
            number = ", fitted by counting"
        lines = [
            ("corpus", f"{corpus.source}: {corpus.kind} ({corpus.why_kind})"),
            ("symbols", f"{self.tokenizer.vocab_size} ids, by {self.tokenizer.kind}"),
            ("split", f"train / validation / test: {sizes} {unit}{again}"),
            ("model", f"{self.config.model.name}{number}"),
            ("context", f"{self.model.context_length} tokens"),
        ]
        if not self.model.fitted:
            tokens = self.tokens_per_step * training.steps
            form = "sequences" if self.examples == "sequences" else "windows"
            lines += [
                ("batch", f"{self.batches.batch_size:,} {form} of {self.length} tokens"),
                (
                    "to be seen",
                    f"{tokens:,.0f} tokens in {training.steps:,} updates: the training part "
                    f"{tokens / self.train_part.n_targets:.1f} times",
                ),
            ]
        lines.append(("device", f"{describe_device(self.device)}"))
        if not self.model.fitted:
            lines.append(("precision", f"{self.precision} ({self.why_precision})"))
            compiled = {"no": "no", "loss": "yes", "updates": f"{SPAN} updates a call"}
            lines.append(("compiled", f"{compiled[self.compiled]} ({self.why_compiled})"))
            if self.compiled == "no" and self.replayed:
                span = span_of(self.config)
                lines.append(("updates", f"recorded and replayed where they can be, {span} a call"))
        if self.memory:
            lines.append(("memory", self.memory))
        return lines + [("note", note) for note in self.notes]

    @property
    def replayed(self) -> bool:
        """Whether its updates are to be recorded (`training/replay.py`)."""
        plain = self.config.training.plain
        return not plain and is_small(self.model, self.batches, self.precision)

    def facts(self) -> dict[str, Any]:
        """What config.json says besides the settings."""
        return {
            "hornbook": hornbook.__version__,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "corpus": {
                "name": self.corpus.name,
                "source": self.corpus.source,
                "kind": self.corpus.kind,
                "why": self.corpus.why_kind,
                "sha256": self.corpus.sha256,
                "bytes": self.corpus.n_bytes,
            },
            "split": {
                "train": self.train_part.n_targets,
                "validation": self.val_part.n_targets,
                "unit": "tokens",
            },
            "vocab_size": self.tokenizer.vocab_size,
            "n_parameters": self.model.n_parameters,
            "hardware": {
                "device": describe_device(self.device),
                "precision": self.precision,
                "compiled": self.compiled,
                "machine": platform.machine(),
                "system": platform.system(),
                "cores": os.cpu_count(),
                "threads": torch.get_num_threads(),
            },
            "versions": {
                "python": platform.python_version(),
                "torch": torch.__version__,
                "numpy": np.__version__,
            },
        }


def make_plan(
    corpus: str | None = None,
    *,
    model: str | None = None,
    preset: str | Nested | None = None,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
) -> Plan:
    """Resolves settings against a corpus. `settings`: sections of fields, as from TOML and flags.

    preset: a name, or a configuration that is none of them (of a rung of the ladder).
    Raises ConfigError or DataError, before anything is written.
    """
    asked: Nested = merge(settings or {})
    base = presets.named(preset) if isinstance(preset, str) else preset or {}
    named = asked.get("model", {}).get("name")
    refuse_two("--model", model, "model.name", named)
    refuse_two("CORPUS", corpus, "data.corpus", asked.get("data", {}).get("corpus"))
    name = str(model or named or base.get("model", {}).get("name") or DEFAULT_MODEL)
    model_config({"name": name})  # an unknown name is refused before anything is read
    if not MODELS[name].trained:
        raise ConfigError(f"model: {name} is not trained; make one of runs with `hornbook mix`")
    if preset and base["model"]["name"] != name:
        what = f"preset {preset!r}" if isinstance(preset, str) else "this rung"
        raise ConfigError(
            f"model: found {name!r}, but {what} is of {base['model']['name']!r}; "
            "leave one of the two out"
        )
    data = merge({"data": base.get("data", {})}, {"data": asked.get("data", {})})["data"]
    if corpus is not None:
        data["corpus"] = corpus
    data_config = DataConfig.parse(data, "data")
    text = load_corpus(data_config)
    if text.source != text.name:  # a file: its path holds from anywhere
        data["corpus"] = str(Path(data_config.corpus).expanduser().resolve())
    documents = text.kind == "documents"
    if preset is None:
        base = presets.default(name, documents=documents)
    asked.setdefault("model", {})["name"] = name
    merged: Nested = parse_config(merge(base, asked, {"data": data})).model_dump()
    tokenizer = build_tokenizer(merged["tokenizer"]["kind"], text.symbols, documents=documents)
    split = split_texts(text, data_config, tokenizer)
    train_part, val_part = split.part("train", tokenizer), split.part("val", tokenizer)
    notes = [*text.notes, *split.notes]
    entry = MODELS[name]
    if "context_length" in merged["model"] and not entry.load(entry.model).sliding:
        notes += _fit(merged, asked, train_part, val_part)
    parts = train_part, val_part
    plan = _assemble(parse_config(merged), text, split, tokenizer, *parts, notes)
    if not isinstance(preset, str) and (note := _fit_updates(plan, merged, asked)):
        notes.append(note)
        plan = _assemble(parse_config(merged), text, split, tokenizer, *parts, notes)
    return plan


def refuse_two(flag: str, first: Any, field: str, second: Any) -> None:
    """Raises ConfigError where a flag and the setting that it stands for disagree."""
    if None not in (first, second) and str(first) != str(second):
        raise ConfigError(f"{flag}: found {first!r}, but {field} is {second!r}; give one of them")


def plan_of_run(config: RunConfig, corpus: Corpus, tokenizer: Tokenizer) -> Plan:
    """The plan of a run that exists: nothing is fitted any more."""
    split = split_texts(corpus, config.data, tokenizer)
    parts = split.part("train", tokenizer), split.part("val", tokenizer)
    return _assemble(config, corpus, split, tokenizer, *parts, [])


def _assemble(
    config: RunConfig,
    corpus: Corpus,
    split: Split,
    tokenizer: Tokenizer,
    train_part: Part,
    val_part: Part,
    notes: list[str],
) -> Plan:
    device = find_device(config.training.device)
    refuse_too_large(config.model, config.optim, tokenizer.vocab_size, tokenizer.end_id, device)
    torch.manual_seed(config.training.seed)
    model = build_model(config.model, tokenizer.vocab_size, tokenizer.end_id).to(device)
    if model.fitted and split.recipe is not None:
        train_part = train_part.spread(LOOKED_AT, tokenizer)
        notes.append(f"counts {train_part.n_targets:,} tokens, spread over the training part")
    plan = Plan(config, corpus, split, tokenizer, train_part, val_part, model, device, notes)
    if not model.fitted:
        if plan.examples == "windows":
            model.check_windows(plan.batches.batch_size)
        _choose_precision(plan)
        _choose_compilation(plan)
    return plan


def _choose_precision(plan: Plan) -> None:
    """Measures a few gradients of a copy; the generators are left as they were."""
    wanted = plan.config.training.precision
    if wanted == "auto" and plan.config.training.plain:
        plan.why_precision = "plain"
        return
    if wanted == "auto" and plan.config.training.deterministic:  # a measurement is not
        plan.why_precision = "deterministic"
        return
    if wanted != "auto" or not has_bf16(plan.device):
        plan.precision, plan.why_precision = choose_precision(wanted, plan.device, lambda _: None)
        return
    with _trial(plan, "fp32") as trial:
        plan.precision, plan.why_precision = choose_precision(
            wanted, plan.device, lambda precision: trial.gradients(0, precision).item()
        )


def _choose_compilation(plan: Plan) -> None:
    """By the time that the run would take without: a few updates of a copy are measured."""
    training = plan.config.training
    asked = "no" if training.plain or training.deterministic else training.compile
    form: Form = "updates" if _in_one_call(plan) else "loss"
    seconds = 0.0
    if asked == "auto" and (form == "updates" or plan.device.type != "cpu"):
        with _trial(plan, plan.precision) as trial:
            updates = training.steps * plan.batches.batch_size / trial.batches.batch_size
            least = pays_from(form) / updates  # below it nothing more is to be known
            seconds = updates * seconds_of(trial, plan.device, least)
            if trial.span > 1 and seconds >= pays_from(form):  # what the run would do instead
                seconds = updates * _seconds_of_each(trial, plan.device)
    plan.compiled, plan.why_compiled = choose_form(form, asked, seconds, plan.device)
    if asked == "no" and (training.plain or training.deterministic):
        plan.why_compiled = "plain" if training.plain else "deterministic"
    if plan.compiled != "no" and (asked == "auto" or form == "updates"):
        _compare_compiled(plan, form, told=asked == "yes")


def _compare_compiled(plan: Plan, form: Form, *, told: bool) -> None:
    """Keeps it where it can be compiled and an update takes less time with it, or it is told to."""
    plan.compiled = "no"
    try:
        with _trial(plan, plan.precision) as trial, _trial(plan, plan.precision, form) as other:
            ratio = _seconds_of_each(other, plan.device) / _seconds_of_each(trial, plan.device)
    except RuntimeError as error:  # torch's compilers raise many kinds of it
        plan.why_compiled = f"it failed here: {type(error).__name__}"
        return
    plan.compiled = form if told or ratio < PAYS else "no"
    plan.why_compiled = f"{'as told; ' * told}measured: an update takes {ratio:.2f} of the time"


def _seconds_of_each(step: TrainStep, device: torch.device) -> float:
    """Of an update, as many at once as it makes. Raises RuntimeError where it cannot make them."""

    def several(call: int) -> None:
        if step.several(call * step.span) is None:
            raise RuntimeError("several updates cannot be made at once")

    return seconds_of(several, device) / step.span


def _in_one_call(plan: Plan) -> bool:
    """Whether an update is plain gradient descent, and small."""
    return is_descent(plan.config) and plan.replayed


@contextmanager
def _trial(plan: Plan, precision: str, compiled: Form = "no") -> Iterator[TrainStep]:
    """Updates of a copy, of few rows; the generators are left as they were."""
    rows = max(2, min(plan.batches.batch_size, TRIAL // plan.length))
    draw = Draw(batch_size=rows, seed=0)
    batches = build_batches(plan.train_part, plan.examples, plan.length, draw, plan.device)
    with generators_kept(plan.device):
        yield TrainStep(
            copy.deepcopy(plan.model).train(), batches, plan.config, precision, compiled
        )


def seconds_of(
    step: Callable[[int], object],
    device: torch.device,
    least: float = 0.0,
    times: int = 5,
    most: float = math.inf,
) -> float:
    """Of an update: the median of `times` after one to warm up, fewer where `most` seconds are over;
    that one where it is under `least`."""
    seconds: list[float] = []
    while len(seconds) <= times and sum(seconds) < most and not (seconds and seconds[0] < least):
        begin = time.perf_counter()
        step(len(seconds))
        if device.type == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds[1:] or seconds)


def _fit_updates(plan: Plan, merged: Nested, asked: Nested) -> str:
    """Fits updates, batch and dropout to a small text where nobody asked for them; says so."""
    model, training, optim = merged["model"], merged["training"], merged["optim"]
    told = asked.get("training", {})
    if plan.model.fitted or "steps" in told or training["batch_size"] == "all":
        return ""
    steps, batch, most = training["steps"], training["batch_size"], plan.most_updates
    if most is None or steps <= NEAR * most:
        return ""
    if "batch_size" not in told:
        training["batch_size"] = max(1, min(batch, batch * most // (SHARE * EPOCHS)))
    training["steps"] = round(most * batch / training["batch_size"])
    if "warmup" not in asked.get("optim", {}):
        optim["warmup"] = min(optim["warmup"], training["steps"] // 10)
    note = f"{training['steps']:,} updates of {training['batch_size']:,} instead of {steps:,}"
    note += f" of {batch:,}"
    if "dropout" not in asked["model"] and model.get("dropout", DROPOUT) < DROPOUT:
        model["dropout"] = DROPOUT
        note += f", dropout {DROPOUT}"
    return (
        f"{note}: {EPOCHS} times through a small text; more of them would learn it by heart "
        "(--steps trains longer)"
    )


def _fit(merged: Nested, asked: Nested, train_part: Part, val_part: Part) -> list[str]:
    """Fits context and batch to the text where nobody asked for them; says what was changed.

    Raises DataError where a context was asked for that the text cannot fill.
    """
    wanted: int = merged["model"]["context_length"]
    notes = []
    if "context_length" in asked["model"]:
        if not train_part.documents and wanted > val_part.n_targets:
            raise DataError(
                f"model.context_length: found {wanted}, but the validation part has only "
                f"{val_part.n_targets} tokens; ask for at most {val_part.n_targets // 2}, or leave "
                "it out and it is fitted to the text"
            )
        fitted = wanted
    elif train_part.documents:
        needed = 2 ** math.ceil(math.log2(max(train_part.longest, val_part.longest)))
        fitted = min(max(wanted, needed), max(wanted, LONGEST_DEFAULT))
        tokens = train_part.n_targets
        fitted = min(fitted, max(needed, fitting_context(tokens, fitted)))
    else:
        fitted = fitting_context(val_part.n_targets, wanted)
    if fitted != wanted:
        merged["model"]["context_length"] = fitted
        why = "long documents" if fitted > wanted else "a small text"
        note = f"context length {fitted} instead of {wanted}: {why}"
        batch = merged["training"]["batch_size"]
        if isinstance(batch, int) and "batch_size" not in asked.get("training", {}):
            merged["training"]["batch_size"] = max(1, batch * wanted // fitted)
            note += f"; batch size {merged['training']['batch_size']}"
        notes.append(note)
    if train_part.documents and (longer := int((np.diff(train_part.starts) > fitted).sum())):
        notes.append(
            f"{longer:,} documents are longer than the context of {fitted}: learned in pieces"
        )
    return notes
