"""One run from several: a mixture of their models, as complete as any other run."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from hornbook.errors import ConfigError, DataError
from hornbook.files import user_path, write_json, write_tensors
from hornbook.generate import make_generator, sample
from hornbook.metrics.loss import evaluate
from hornbook.metrics.novelty import novelty_report
from hornbook.metrics.text_index import TextIndex
from hornbook.metrics.typicality import HeldOutTexts
from hornbook.models.registry import build_empty, parse_run_config
from hornbook.runs.directory import StoredRun, check_free, create


def mix(runs: Sequence[StoredRun], out: Path, weights: Sequence[float] = ()) -> StoredRun:
    """A run whose probabilities are the weighted mean of those of `runs` (weights: equal).

    Raises DataError unless the runs have the same corpus, split and tokenizer, ConfigError for
    fewer than two runs, weights that are not above 0, or an `out` that exists.
    """
    if len(runs) < 2:
        raise ConfigError(f"RUN: found {len(runs)}, expected two or more to mix")
    weights = list(weights) or [1.0] * len(runs)
    if len(weights) != len(runs) or not all(0 < weight < math.inf for weight in weights):
        raise ConfigError(f"weights: found {weights}, expected one above 0 for each run")
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
    settings = {
        "name": "mixture",
        "components": [run.config.model.model_dump() for run in runs],
        "weights": [weight / sum(weights) for weight in weights],
    }
    config = parse_run_config({**first.config.model_dump(), "model": settings})
    tensors = members_weights(runs)
    model = build_empty(config.model, first.tokenizer.vocab_size, first.tokenizer.end_id)
    model.load_weights(tensors)
    facts = {"n_parameters": model.n_parameters, "mixed": [str(r.path) for r in runs]}
    run = create(out, {**first.facts, **facts}, config, first.tokenizer)
    try:
        write_tensors(out / "model.safetensors", tensors)
        reports, generator = [r.report for r in runs], make_generator(0)
        samples = sample(run.model, run.tokenizer, n=20, max_tokens=200, generator=generator)
        validation = run.part("val")
        report = {
            "steps": 0,
            "best_step": 0,
            "tokens": sum(r.get("tokens") or 0 for r in reports),
            "seconds": sum(r.get("seconds") or 0.0 for r in reports),
            "loss": None,
            "validation": evaluate(model, validation).to_json(),
            "held_out_texts": HeldOutTexts.measure(model, run.tokenizer, validation).to_json(),
            "held_out": config.data.held_out,
            "samples": [s.text for s in samples],
            "novelty": novelty_report(run.model, None, run.tokenizer, TextIndex(run.split())),
        }
        write_json(out / "report.json", report)
    except BaseException:  # leave no incomplete run
        shutil.rmtree(out)
        raise
    return run


def members_weights(runs: Sequence[StoredRun]) -> dict[str, Tensor]:
    """The weights of runs under their names in the mixture."""
    return {
        f"models.{i}.{name}": tensor
        for i, run in enumerate(runs)
        for name, tensor in run.model.state_dict().items()
    }


def _split(run: StoredRun) -> tuple[float, float | None, int]:
    data = run.config.data
    return data.validation, data.test, data.split_seed
