"""From a request to a frozen plan: the corpus is read once, then one decision after the other.

Settings are layered: a preset (or the default of the model for this kind of text), then what was
requested. What nobody requested is decided for the text and the machine, in `decide/`.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from hornbook.arguments import text
from hornbook.config import DataConfig, FinetuningConfig, TokenizerConfig, TrainingConfig, merge
from hornbook.config.sections import LENGTHS
from hornbook.data.chat_forms import find_form
from hornbook.data.corpora import text_setting
from hornbook.data.corpus import Corpus
from hornbook.data.training_data import load_continued_data, load_training_data
from hornbook.errors import ConfigError
from hornbook.models.registry import MODELS, model_config
from hornbook.planning.decide.size import SIZE_FIELDS
from hornbook.planning.decide.time_budget import TimeBudget
from hornbook.planning.decide.vocabulary import tokenizer_kind
from hornbook.planning.decision import Decision
from hornbook.planning.plan import Plan
from hornbook.planning.request import Request
from hornbook.planning.resolution import Resolution
from hornbook.planning.start import continued, free_settings, notes_of_template, start_from
from hornbook.planning.timed import Choice, best_plan, plan_in_time
from hornbook.pretrained.reading import read_base
from hornbook.tokenizers.existing import AUTO, KINDS


def resolve(request: Request) -> Plan:
    """The plan of a request. Raises ConfigError, DataError or RunError, before anything is written."""
    base = None
    if request.requested("finetuning", "base"):
        base = read_base(text(request.requested("finetuning", "base"), "base"))
        request = continued(request, base)
    finetuning = FinetuningConfig.parse(request.settings.get("finetuning", {}), "finetuning")
    _check_model(request)
    budget = _time_budget(request)
    merged = merge({"data": {}, "tokenizer": {}}, request.base, request.settings)
    data_config = DataConfig.parse(merged["data"], "data")
    tokenizer = TokenizerConfig.parse(merged["tokenizer"], "tokenizer")
    choices, decided = _choices(request), dict[str, Decision[Any]]()
    start = None
    if base is None:

        def choose(corpus: Corpus, n_bytes: int) -> str:
            decided["tokenizer.kind"] = decision = tokenizer_kind(
                documents=corpus.kind == "documents",
                n_bytes=n_bytes,
                characters=len(corpus.alphabet),
                minutes=None if budget is None else budget.minutes,
                counts="counts" in choices or "hybrid" in choices,
            )
            return decision.value

        data = load_training_data(data_config, tokenizer, choose)
    else:
        form = find_form(base.template)
        data = load_continued_data(
            data_config, base.tokenizer, grow=finetuning.grow, unknown=finetuning.unknown, form=form
        )
        start, notes = start_from(base, finetuning, data.tokenizer)
        notes += notes_of_template(base, data.corpus)
        data = replace(data, notes=(*data.notes, *notes))
    units: dict[str, Any] = {}
    if data.tokenizer.kind != "bpe" and request.requested("tokenizer", "vocab_size"):
        units["vocab_size"] = None
        unused = (
            f"--vocab-size is not used: it is of bpe, and the tokenizer is {data.tokenizer.kind}"
        )
        data = replace(data, notes=(*data.notes, unused))
    where: dict[str, Any] = {"corpus": text_setting(data_config, data.corpus)}
    if data_config.files:
        where["files"] = [str(Path(f).expanduser().resolve()) for f in data_config.files]
    if tokenizer.kind == AUTO:
        units["kind"] = data.tokenizer.kind
    elif tokenizer.kind not in KINDS:
        units["kind"] = str(Path(tokenizer.kind).expanduser().resolve())
    settings = merge(
        request.settings, {"data": where, "tokenizer": units, "model": {"name": request.model}}
    )
    request = replace(request, settings=settings, decided=decided)
    if budget is not None and choices:
        return best_plan(request, data, budget, choices)
    preset = request.defaults(documents=data.documents)
    if base is not None:
        preset = merge(preset, {"model": free_settings(base)})
    resolution = Resolution(preset, request, data, start=start)
    if resolution.shape.fitted:
        return resolution.plan_of_counts()
    resolution.decide_execution()
    if budget is not None:
        return plan_in_time(budget, resolution)
    resolution.decide_steps(resolution.planned_steps())
    return resolution.plan()


def _choices(request: Request) -> tuple[Choice, ...]:
    """What a time budget chooses from: of the requested model the sizes; where no model is requested,
    any; nothing where a preset or a size is."""
    requested = request.settings.get("model", {})
    if request.preset is not None or requested.keys() & SIZE_FIELDS:
        return ()
    if not requested:
        return ("counts", "hybrid", "gpt")
    only: dict[str, tuple[Choice, ...]] = {"gpt": ("gpt",), "hybrid": ("hybrid",)}
    return only.get(request.model, ())


def _check_model(request: Request) -> None:
    """Raises ConfigError where there is no such model, or it is not that of the preset."""
    name, base = request.model, request.base
    model_config({"name": name})  # before anything is read
    if not MODELS[name].trained:
        raise ConfigError(f"model: {name} is not trained; make one of runs with `hornbook mix`")
    if base and base["model"]["name"] != name:
        what = f"preset {request.preset!r}" if isinstance(request.preset, str) else "this rung"
        raise ConfigError(
            f"model: found {name!r}, but {what} is of {base['model']['name']!r}; "
            "leave one of the two out"
        )


def _time_budget(request: Request) -> TimeBudget | None:
    """The time budget, where one is requested. Raises ConfigError beside steps or epochs."""
    minutes = request.requested("training", "minutes")
    if request.segments:  # a timed run is repeated by its schedule
        return None
    given = [name for name in LENGTHS if request.requested("training", name) is not None]
    if len(given) > 1:
        raise ConfigError(f"{given[1]}: found it beside {given[0]}; give one of them")
    if minutes is None:
        return None
    checked = TrainingConfig.parse({"minutes": minutes}, "training").minutes
    assert checked is not None
    began = time.monotonic() if request.began is None else request.began
    return TimeBudget(minutes=checked, began=began)
