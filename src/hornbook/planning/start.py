"""What a run begins from, where it does not begin from random weights."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from hornbook.config import FinetuningConfig, merge
from hornbook.data.chat_forms import known_forms
from hornbook.data.corpus import Corpus
from hornbook.data.part import Part
from hornbook.data.split import split_corpus
from hornbook.errors import ConfigError, DataError, RunError, counted
from hornbook.layers.lora import adapt
from hornbook.metrics.loss import mean_nats
from hornbook.models.base import LanguageModel
from hornbook.models.registry import build_empty, build_on_meta
from hornbook.planning import tuning
from hornbook.planning.request import Request
from hornbook.pretrained.base import Base
from hornbook.pretrained.growing import grown
from hornbook.pretrained.reading import read_base
from hornbook.runs.directory import StoredRun
from hornbook.stages import stage
from hornbook.tokenizers.base import Tokenizer
from hornbook.tokenizers.registry import tokenizer_of

# settings of a model that its weights do not depend on
MAY_DIFFER = ("dropout", "attention_dropout")
MAY_BE_LESS = {"gpt": ("context_length",)}  # than the base's: rotary positions have no weights


@dataclass(frozen=True, kw_only=True)
class OldText:
    """The text that the base was trained on, as tokens of the run: what replay mixes in, and where
    forgetting shows."""

    name: str
    train: Part = field(repr=False)
    validation: Part = field(repr=False)

    def sample(self, block: int, tokenizer: Tokenizer) -> list[Part]:
        """What its loss is estimated on while training: the same each time."""
        return self.validation.spread(tuning.OLD_SAMPLE, block, tokenizer)


@dataclass(frozen=True, kw_only=True)
class Start:
    """A base, and how training begins from it.

    facts: of the base, as config.json keeps them. tensors: its weights; None where a state is loaded in
    their place. old: its text, None where that is not at hand, or is of another kind. muon: whether
    Muon trained it.
    """

    facts: Mapping[str, Any]
    config: FinetuningConfig
    tensors: Mapping[str, Tensor] | None = field(repr=False)
    old: OldText | None
    muon: bool = False

    def grown_names(self, model: LanguageModel) -> list[str]:
        """The weights that have rows for tokens which the base does not know."""
        before = self.facts["vocab_size"]
        if before == model.vocab_size:
            return []
        old = build_on_meta(model.config, before, model.end_id).state_dict()
        own = dict(model.named_parameters())
        return [name for name in own if own[name].shape != old[name].shape]

    def begin(self, model: LanguageModel) -> None:
        """Gives a new model the weights of the base; with LoRA its other weights are frozen, but for
        those that have grown. Of a model that counts, the counts stay those of its own text."""
        names = self.grown_names(model)
        if self.tensors is not None:
            tensors = dict(self.tensors)
            if model.counted:
                trained = dict(model.named_parameters()).keys()
                tensors = {name: t for name, t in tensors.items() if name in trained}
            tensors = grown(tensors, model, self.facts["vocab_size"])
            model.load_weights({**model.state_dict(), **tensors} if model.counted else tensors)
        self.freeze(model, names)

    def freeze(self, model: LanguageModel, names: list[str]) -> None:
        """With LoRA, adds its matrices and freezes all other weights but those of these names."""
        rank = self.config.lora_rank
        if not rank:
            return
        if not model.adaptable:
            raise ConfigError(
                f"--lora: found a {model.config.name}, which has no blocks of attention and MLPs; "
                "leave it out, and all weights are trained"
            )
        adapt(model, model.adaptable, rank, self.config.scale)
        own = dict(model.named_parameters())
        for name in names:
            own[name].requires_grad_(True)


def free_settings(base: Base) -> dict[str, Any]:
    """The settings of the model of a base that may differ in a run that begins from it."""
    return {name: v for name, v in base.model.model_dump().items() if name in MAY_DIFFER}


def continued(request: Request, base: Base) -> Request:
    """A request for a run that begins from a base: its model and kind of tokenizer are the base's.

    Raises ConfigError for a setting that contradicts the base.
    """
    if request.preset is not None:
        raise ConfigError("preset: found it beside --from; the base has its settings, leave it out")
    own = base.model.model_dump()
    for name, value in request.settings.get("model", {}).items():
        less = name in MAY_BE_LESS.get(base.model.name, ())
        if less and isinstance(value, int) and 0 < value < own[name]:
            continue
        if name not in MAY_DIFFER and own.get(name, value) != value:
            raise ConfigError(
                f"model.{name}: found {value!r}, but the base {base.source} has {own[name]!r}; a model "
                "is trained further in its own form, leave it out"
            )
    units = {"kind": base.tokenizer.kind}
    for name, value in request.settings.get("tokenizer", {}).items():
        expected = units["kind"] if name == "kind" else base.tokenizer.vocab_size
        grows = name == "vocab_size" and request.requested("finetuning", "grow")
        if value not in (None, expected) and not grows:
            raise ConfigError(
                f"tokenizer.{name}: found {value!r}, but that of the base {base.source} is "
                f"{expected!r}; its tokenizer is taken over, leave it out"
            )
    trained_on = _corpus_of(base)
    data = {"kind": trained_on["kind"]} if trained_on else {}
    fixed = {name: value for name, value in own.items() if name not in MAY_DIFFER}
    layers = ({"model": fixed, "data": data}, request.settings, {"tokenizer": units})
    settings = merge(*layers, {"finetuning": {"base": str(base.path.resolve())}})
    settings["tokenizer"].pop("vocab_size", None)
    return replace(request, settings=settings)


def start_from(
    base: Base, config: FinetuningConfig, tokenizer: Tokenizer
) -> tuple[Start, list[str]]:
    """The start from a base with the tokenizer of the new text, and notes for the user.

    Raises ConfigError where the text of the base is to be replayed and is not at hand.
    """
    run, notes = base.run, list[str]()
    facts: dict[str, Any] = {
        "source": base.source,
        "model": base.model.name,
        "sha256": base.sha256,
        "vocab_size": base.tokenizer.vocab_size,
    }
    old = None
    if run is not None and (corpus := _corpus_of(base)):
        facts["nats"] = run.report.get("validation", {}).get("nats")
        facts["corpus"] = {k: corpus[k] for k in ("name", "source", "kind", "sha256")}
        with stage("reading the text of the base"):
            old = _old_text(run, config, tokenizer, notes)
    elif config.replay:
        raise ConfigError(
            f"--replay: {base.source} has no text that could be replayed; leave it out"
        )
    muon = run is not None and run.config.optim.name == "muon"
    start = Start(facts=facts, config=config, tensors=base.tensors, old=old, muon=muon)
    if (n := tokenizer.vocab_size - base.tokenizer.vocab_size) > 0:
        notes.append(_cost_of_growing(start, base, tokenizer, n))
    return start, notes


def notes_of_template(base: Base, corpus: Corpus) -> list[str]:
    """How prompts and answers are written for a model of others, in words."""
    if (template := corpus.origin.template) is None:
        return []
    if (form := template.form) is not None:
        return [
            f"conversations are written in {form.name}, the base's own form; learned are the answers, "
            f"each with the {template.stops[0]} that ends it"
        ]
    own = base.run is not None and not base.run.imported
    if own or base.template:  # a plain one was requested
        return []
    return [
        f"the base has no chat template of a form that hornbook knows ({known_forms()}): prompts and "
        f"answers are written in a plain one, {template.text!r}"
    ]


def _corpus_of(base: Base) -> Mapping[str, Any]:
    """The facts of the text that a base was trained on; none where that is unknown."""
    corpus: Mapping[str, Any] = {} if base.run is None else base.run.facts["corpus"]
    return corpus if corpus.get("sha256") else {}


def start_again(
    run: StoredRun, tokenizer: Tokenizer, *, begun: bool
) -> tuple[Start | None, list[str]]:
    """The start of a run that is resumed. begun: its state has weights, and the base is not needed for
    any. Raises RunError where the base is needed and is gone, or another one."""
    facts, config = run.facts.get("base"), run.config.finetuning
    if facts is None:
        return None, []
    notes, old, tensors = list[str](), None, None
    try:
        base = read_base(_where(run))
        if base.sha256 != facts["sha256"]:
            raise RunError(
                f"{base.source}: has changed since this run began from it (sha256 "
                f"{base.sha256[:12]}..., was {facts['sha256'][:12]}...)"
            )
        tensors = None if begun else base.tensors
        if base.run is not None and _corpus_of(base):
            old = _old_text(base.run, config, tokenizer, notes)
    except (ConfigError, RunError) as error:
        if not begun or config.replay:
            raise RunError(f"{error}. This run began from it: put it back") from None
        notes.append(f"{error}; its text is no longer watched")
    return Start(facts=facts, config=config, tensors=tensors, old=old), notes


def _where(run: StoredRun) -> Path:
    """Where the base of a run is: as then, or as far from the run as then."""
    path, relative = Path(run.config.finetuning.base), run.facts["base"].get("relative", "")
    return path if os.path.exists(path) or not relative else run.path / relative


def _old_text(
    run: StoredRun, config: FinetuningConfig, tokenizer: Tokenizer, notes: list[str]
) -> OldText | None:
    documents = tokenizer.end_id is not None
    try:
        if run.documents != documents:
            raise DataError("it is of another kind than the new text")
        tokenizer = tokenizer_of(tokenizer.to_json(), run.document_end)
        split = split_corpus(
            run.corpus(), run.config.data, tokenizer, run.config.finetuning.unknown
        )
        train, validation = (split.part(name, tokenizer) for name in ("train", "validation"))
    except DataError as error:
        if config.replay:
            raise ConfigError(f"--replay: the text of the base cannot be used: {error}") from None
        notes.append(f"the loss on the text of the base is not watched: {error}")
        return None
    return OldText(name=run.facts["corpus"]["name"], train=train, validation=validation)


def _cost_of_growing(start: Start, base: Base, tokenizer: Tokenizer, n: int) -> str:
    """What the new rows cost the old text, in words."""
    words = f"{counted(n, 'new token')} of the text, each begins as the mean of the others"
    if start.old is None:
        return words
    sizes = base.tokenizer.vocab_size, tokenizer.vocab_size
    end_id = base.tokenizer.end_id
    models = [build_empty(base.model, size, end_id).eval() for size in sizes]
    if models[0].counted:
        return words
    for model in models:
        model.load_weights(grown(base.tensors, model, sizes[0]))
    sample = start.old.sample(max(1, models[0].context_length), tokenizer)
    before, after = (mean_nats(model, sample) for model in models)
    return (
        f"{words}: costs {start.old.name} {after - before:.3f} ({before:.4f} to {after:.4f} nats)"
    )
