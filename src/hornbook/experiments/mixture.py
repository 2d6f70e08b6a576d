"""One run from several: a mixture of their models, as complete as any other run."""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from hornbook.data.part import Part
from hornbook.data.split import Split
from hornbook.errors import ConfigError, DataError
from hornbook.files import user_path, write_json, write_tensors
from hornbook.generate import make_generator, sample
from hornbook.metrics.loss import summarize, token_nats
from hornbook.metrics.novelty import novelty_report
from hornbook.metrics.text_index import TextIndex
from hornbook.metrics.typicality import HeldOutTexts
from hornbook.metrics.verdict import Evidence, judge
from hornbook.models.base import LanguageModel
from hornbook.models.registry import build_empty, build_model, model_config, parse_run_config
from hornbook.planning.plan import fit
from hornbook.runs.directory import StoredRun, check_free, create
from hornbook.tokenizers import Tokenizer
from hornbook.training.report import beside_counts


def mix(
    runs: Sequence[StoredRun],
    out: Path,
    weights: Sequence[float] = (),
    *,
    counts: int | None = None,
) -> StoredRun:
    """A run whose probabilities are the weighted mean of those of `runs` (weights: equal).

    counts: the order of n-gram counts of the same text that are a further member, the last.
    Raises DataError unless the runs have the same corpus, split and tokenizer, ConfigError for
    fewer than two members, weights that are not above 0, or an `out` that exists.
    """
    n = len(runs) + (counts is not None)
    if n < 2:
        raise ConfigError(
            f"RUN: found {n}, expected two or more to mix, or one and the order of counts (--counts 5)"
        )
    weights = list(weights) or [1.0] * n
    if len(weights) != n or not all(0 < weight < math.inf for weight in weights):
        raise ConfigError(f"weights: found {weights}, expected one above 0 for each of {n} members")
    out = user_path(out, ConfigError)
    check_free(out)
    first = runs[0]
    for other in runs[1:]:
        for what, same in (
            ("corpora", first.facts["corpus"]["sha256"] == other.facts["corpus"]["sha256"]),
            ("splits", _split(first) == _split(other)),
            ("tokenizers", first.tokenizer.to_json() == other.tokenizer.to_json()),
        ):
            if not same:
                raise DataError(
                    f"{first.path} and {other.path} have different {what}; train them on the same"
                )
    split = first.split()
    models, names = [run.model for run in runs], [str(run.path) for run in runs]
    if counts is not None:
        models.append(count(split.part("train", first.tokenizer), first.tokenizer, counts))
        names.append(f"n-grams of order {counts}")
    settings = {
        "name": "mixture",
        "components": [member.config.model_dump() for member in models],
        "weights": [weight / sum(weights) for weight in weights],
    }
    config = parse_run_config({**first.config.model_dump(), "model": settings})
    tensors = members_weights(models)
    model = build_empty(config.model, first.tokenizer.vocab_size, first.tokenizer.end_id)
    model.load_weights(tensors)
    facts = {"n_parameters": model.n_parameters, "mixed": names}
    run = create(out, {**first.facts, **facts}, config, first.tokenizer)
    try:
        write_tensors(out / "model.safetensors", tensors)
        write_json(out / "report.json", _report(run, split, [r.report for r in runs]))
    except BaseException:  # leave no incomplete run
        shutil.rmtree(out)
        raise
    return run


def _report(run: StoredRun, split: Split, reports: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """report.json of a mixture of runs with these reports."""
    model, tokenizer = run.model, run.tokenizer
    generator, index = make_generator(0), TextIndex(split)
    samples = sample(model, tokenizer, n=20, max_tokens=200, generator=generator)
    part = split.part("val", tokenizer)
    nats = token_nats(model, part)
    validation = summarize(nats, part, max(model.context_length, 1))
    novelty = novelty_report(model, None, tokenizer, index)
    report = {
        "steps": 0,
        "best_step": 0,
        "tokens": sum(r.get("tokens") or 0 for r in reports),
        "seconds": sum(r.get("seconds") or 0.0 for r in reports),
        "loss": None,
        "validation": validation.to_json(),
        "held_out_texts": HeldOutTexts.measure(model, tokenizer, part).to_json(),
        "held_out": split.held_out,
        "samples": [s.text for s in samples],
        "novelty": novelty.to_json(),
    }
    evidence = Evidence(
        loss=validation.nats,
        standard_error=validation.standard_error,
        uniform=math.log(tokenizer.vocab_size),
        held_out=split.held_out,
        novelty=novelty.kept,
    )
    if split.held_out:
        counts = index.best_counts(split.part("train", tokenizer), part, tokenizer)
        report["counts"] = counts.to_json()
        evidence = beside_counts(evidence, nats, counts, part)
    report["verdict"] = judge(replace(evidence, mixture=None)).to_json()
    return report


def count(train: Part, tokenizer: Tokenizer, order: int) -> LanguageModel:
    """Counts of a training part, fitted as `hornbook train` does."""
    config = model_config({"name": "ngram", "order": order})
    model = build_model(config, tokenizer.vocab_size, tokenizer.end_id)
    fit(model, train, tokenizer)
    return model.eval()


def members_weights(models: Sequence[LanguageModel]) -> dict[str, Tensor]:
    """The weights of models under their names in the mixture."""
    return {
        f"models.{i}.{name}": tensor
        for i, model in enumerate(models)
        for name, tensor in model.state_dict().items()
    }


def _split(run: StoredRun) -> tuple[float, float | None, int]:
    data = run.config.data
    return data.validation, data.test, data.split_seed
