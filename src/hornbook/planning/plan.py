"""The plan of a run: everything resolved before the first update, and said in plain words.

Settings are layered: the preset (or the default of the model for this kind of text), then a TOML file,
then flags. What nobody asked for is fitted to the text (context length, batch size), and said.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

import hornbook
from hornbook.config import DataConfig, Nested, RunConfig, merge, presets
from hornbook.data.batches import Batches, Draw, WindowBatches, build_batches
from hornbook.data.corpora import load_corpus
from hornbook.data.part import Part, Split
from hornbook.data.part import split_corpus as split_texts
from hornbook.data.text import Corpus
from hornbook.engine.compiled import Form
from hornbook.engine.device import describe_device, find_device
from hornbook.engine.replay import SPAN, is_small, is_smallest, span_of
from hornbook.errors import ConfigError
from hornbook.kernels import install
from hornbook.metrics.text_index import Training, training_of
from hornbook.models.base import LanguageModel
from hornbook.models.registry import MODELS, build_model, model_config, parse_run_config
from hornbook.planning.budget import Budget
from hornbook.planning.fitting import CROWDED, EPOCHS, fit_context, fit_updates
from hornbook.planning.memory import refuse_too_large
from hornbook.planning.trials import choose_compilation, choose_precision
from hornbook.tokenizers import Tokenizer, build_tokenizer

DEFAULT_MODEL = "gpt"
LOOKED_AT = 1 << 24  # windows of a large part that statistics are taken of, tokens counted of it
WINDOWS = 1 << 14  # contexts of the training part computed at once


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
    def reference(self) -> Training:
        """What the samples of its model are held against."""
        return training_of(self.split)

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
            if self.on_one_thread and torch.get_num_threads() > 1:
                lines.append(("threads", "one: updates this small would only wait for others"))
        if self.memory:
            lines.append(("memory", self.memory))
        return lines + [("note", note) for note in self.notes]

    @property
    def replayed(self) -> bool:
        """Whether its updates are to be recorded (`training/replay.py`)."""
        plain = self.config.training.reference
        return not plain and is_small(self.model, self.batches, self.precision)

    @property
    def on_one_thread(self) -> bool:
        """Whether one thread makes its updates, however many there are."""
        return self.replayed and is_smallest(self.model, self.batches, self.precision)

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
    merged: Nested = parse_run_config(merge(base, asked, {"data": data})).model_dump()
    tokenizer = build_tokenizer(merged["tokenizer"]["kind"], text.symbols, documents=documents)
    split = split_texts(text, data_config, tokenizer)
    train_part, val_part = split.part("train", tokenizer), split.part("val", tokenizer)
    notes = [*text.notes, *split.notes]
    entry = MODELS[name]
    if "context_length" in merged["model"] and not entry.load(entry.model).sliding:
        notes += fit_context(merged, asked, train_part, val_part)
    parts = train_part, val_part
    plan = _assemble(parse_run_config(merged), text, split, tokenizer, *parts, notes)
    if not isinstance(preset, str) and (note := fit_updates(plan, merged, asked)):
        notes.append(note)
        plan = _assemble(parse_run_config(merged), text, split, tokenizer, *parts, notes)
    if not plan.model.fitted:
        choose_precision(plan)
        choose_compilation(plan)
    return plan


def refuse_two(flag: str, first: Any, field: str, second: Any) -> None:
    """Raises ConfigError where a flag and the setting that it stands for disagree."""
    if None not in (first, second) and str(first) != str(second):
        raise ConfigError(f"{flag}: found {first!r}, but {field} is {second!r}; give one of them")


def plan_of_run(config: RunConfig, corpus: Corpus, tokenizer: Tokenizer) -> Plan:
    """The plan of a run that exists: nothing is fitted or measured any more."""
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
    if not config.training.reference:
        install(model)
    if model.fitted and split.recipe is not None:
        train_part = train_part.spread(LOOKED_AT, tokenizer)
        notes.append(f"counts {train_part.n_targets:,} tokens, spread over the training part")
    plan = Plan(config, corpus, split, tokenizer, train_part, val_part, model, device, notes)
    if not model.fitted and plan.examples == "windows":
        model.check_windows(plan.batches.batch_size)
    return plan
