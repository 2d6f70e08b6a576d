"""What networks and hybrids of each size reach on texts of different kinds, after how many steps:
`hornbook train --minutes` chooses by laws that are fitted to the table that this makes.

    python benchmarks/budget.py --corpus shakespeare gpt:small:1000 hybrid:small:1000 ...
    python benchmarks/budget.py --fit     prints the laws of planning/decide/laws.py, and their errors

Every point is a whole training with its own horizon, for the loss depends on the steps that were
planned, not on the seconds that they took: so the machine may be busy. Corpora are those of
`corpora.py`, or that hornbook knows. Points are appended to benchmarks/budget.jsonl. `order`: of the
hybrid's counts, by default what `--minutes` chooses. `counts`: the loss of the best order on a tenth of
the training part (`metrics.counts.search_order`); `counts_val`: of that order on the validation part.

The laws are of ratio = val_loss / counts_val. Of a network each size has its own a + b * steps^-c,
with one c for each kind of text. A hybrid's sizes have few points each and differ little, so they
are fitted together: a + n * parameters^-m + b * tokens^-c (Hoffmann et al. 2022, "Training compute-
optimal large language models"), which is of the same form for each size. Texts of KEPT_BACK are not
fitted to, and those of UNLIKE follow no law of counts: a network alone is as good, or the
validation part repeats the training part.
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from common import make_plan, size_settings, train_to_end
from corpora import write

from hornbook.config import DataConfig, Nested, TokenizerConfig, merge
from hornbook.data.training_data import TrainingData, load_training_data
from hornbook.metrics.counts import HIGHEST, search_counts, search_order
from hornbook.models.registry import build_on_meta, parse_run_config
from hornbook.planning.decide.size import SIZES
from hornbook.planning.tuning import (
    HIGHER_ORDER,
    HYBRID_EPOCHS,
    HYBRID_SMALL_TEXT_EPOCHS,
    HYBRID_STREAM_EPOCHS,
    SMALL_TEXT_RATIO,
)

TABLE = Path(__file__).with_name("budget.jsonl")
KEPT_BACK = ("names", "sentences", "source", "zones")
UNLIKE = ("sums", "licenses")
EVERY_SIZE = ("makemore-names", "shakespeare")  # which networks of every size were trained on
FILLED = 0.95  # share of the positions of packed documents that are predicted
TEXT = 65, 27  # tokens in the vocabulary of a stream and of documents, for the sizes' parameters

Point = dict[str, Any]
Law = tuple[float, float, float]


@cache
def facts(name: str, corpus: str) -> tuple[TrainingData, dict[str, Any]]:
    """A text and what is known of it before training; its losses of counts on the validation part."""
    data = load_training_data(DataConfig.parse({"corpus": corpus}, "data"), TokenizerConfig())
    train, tokenizer = data.train, data.tokenizer
    before, after = search_order(train, tokenizer), search_counts(train, data.validation, tokenizer)
    losses = after.losses[: before.order]
    return data, {
        "corpus": name,
        "kind": data.corpus.kind,
        "tokens": train.n_targets,
        "vocab": tokenizer.vocab_size,
        "counts": round(before.loss, 4),
        "counts_order": before.order,
        "counts_val": round(losses[-1], 4),
        "best_counts_val": round(after.loss, 4),
    }


def measure(
    name: str, corpus: str, model: str, size: str, steps: int, *, order: int | None, seed: int
) -> dict[str, Any]:
    """Trains one size for so many steps and returns its loss in nats."""
    data, known = facts(name, corpus)
    if model == "gpt":
        order = None
    elif order is None:
        order = _order(known)
    there: Nested = {"training": {"seed": seed, "precision": "fp32", "threads": 1}}
    chosen = SIZES[data.corpus.kind][size]
    probe = make_plan(corpus, settings=merge(size_settings(chosen, steps, 1.0, order), there))
    epochs = probe.tokens_per_step * steps / data.train.n_targets
    plan = make_plan(corpus, settings=merge(size_settings(chosen, steps, epochs, order), there))
    found = train_to_end(plan)
    return {
        **known,
        "model": model,
        "size": size,
        "order": order,
        "steps": steps,
        "seed": seed,
        "epochs": round(epochs, 2),
        "parameters": plan.shape.n_parameters,
        "held_back": bool(plan.shape.held_back),
        "val_loss": found["loss"],
        "ms": round(found["seconds"] / steps * 1e3, 1),
    }


def _order(known: Point) -> int:
    """The order of a hybrid's counts that `--minutes` chooses."""
    higher = 0 if known["kind"] == "documents" else HIGHER_ORDER
    return int(min(known["counts_order"] + higher, HIGHEST))


def _is_chosen(p: Point) -> bool:
    """Whether `--minutes` would choose the order, and would not end a run before so many epochs."""
    small = p["parameters"] >= SMALL_TEXT_RATIO * p["tokens"]
    most = HYBRID_SMALL_TEXT_EPOCHS if small else HYBRID_EPOCHS
    if p["kind"] == "stream":  # before text was held back, more passes were worse
        most = HYBRID_STREAM_EPOCHS if p.get("held_back") else 1.5
    return p["order"] == _order(p) and p["epochs"] <= most + 0.1


def fit_network(points: Sequence[Point]) -> dict[str, Law]:
    """a, b and c of each size with several points: least squares, one c for all."""
    sizes = {p["size"] for p in points}
    best: tuple[float, dict[str, Law]] = (np.inf, {})
    for c in np.arange(0.3, 1.3, 0.05):
        laws, error = dict[str, Law](), 0.0
        for size in sizes:
            own = [p for p in points if p["size"] == size]
            steps = np.array([p["steps"] for p in own], float)
            a, b, off = _least_squares(np.stack([np.ones_like(steps), steps**-c], 1), own)
            laws[size], error = (a, b, float(c)), error + off
        best = min(best, (error, laws), key=lambda found: found[0])
    return best[1]


def fit_hybrid(points: Sequence[Point], kind: str) -> dict[str, Law]:
    """a, b and c of every size by one fit over parameters and tokens."""
    parameters, tokens = (
        np.array([p[k] for p in points], float) for k in ("parameters", "trained_on")
    )
    best: tuple[float, Any] = (np.inf, None)
    for m, c in itertools.product(np.arange(0.1, 0.85, 0.1), np.arange(0.1, 0.65, 0.05)):
        basis = np.stack([np.ones_like(tokens), parameters**-m, tokens**-c], 1)
        for used in ([0, 1, 2], [0, 2]):
            *found, off = _least_squares(basis[:, used], points)
            if min(found[1:]) >= 0:
                best = min(
                    best, (off, (m, c, dict(zip(used, found, strict=True)))), key=lambda f: f[0]
                )
                break
    m, c, found = best[1]
    laws = {}
    for name, size in SIZES[kind].items():
        config = parse_run_config(size.settings(order=6)).model
        vocab = TEXT[kind == "documents"]
        n = build_on_meta(config, vocab, 0 if kind == "documents" else None).n_parameters
        each = size.batch_size * size.context_length * (1.0 if kind == "stream" else FILLED)
        laws[name] = (found[0] + found.get(1, 0.0) * n**-m, found[2] * each**-c, float(c))
    return laws


def _least_squares(basis: Any, points: Sequence[Point]) -> Any:
    """The coefficients of the ratios, and the sum of squared errors."""
    ratios = np.array([p["ratio"] for p in points])
    found, *_ = np.linalg.lstsq(basis, ratios, rcond=None)
    return *map(float, found), float(((basis @ found - ratios) ** 2).sum())


def fit() -> None:
    """Prints the laws, and how far the ratios of each text are from them."""
    points = [json.loads(line) for line in TABLE.read_text("utf-8").splitlines()]
    for p in points:
        p["ratio"], p["trained_on"] = p["val_loss"] / p["counts_val"], p["epochs"] * p["tokens"]
    for kind in sorted({p["kind"] for p in points}):
        for model in ("hybrid", "gpt"):
            own = [p for p in points if (p["kind"], p["model"]) == (kind, model)]
            fitted = [p for p in own if p["corpus"] not in KEPT_BACK + UNLIKE]
            if model == "gpt":
                fitted = [p for p in fitted if p["corpus"] in EVERY_SIZE]
            else:  # there are points of other orders and of more epochs to compare with
                fitted = [p for p in fitted if _is_chosen(p)]
            laws = fit_hybrid(fitted, kind) if model == "hybrid" else fit_network(fitted)
            print(f"{kind} {model}, {len(fitted)} points")
            for size in SIZES[kind]:
                print("  {}: ({:.4f}, {:.4f}, {:.2f})".format(size, *laws[size]))
            for corpus in dict.fromkeys(p["corpus"] for p in own):
                errors = [
                    p["ratio"] - (a + b * p["steps"] ** -c)
                    for p in own
                    if p["corpus"] == corpus
                    for a, b, c in [laws[p["size"]]]
                ]
                what = " (kept back)" if corpus in KEPT_BACK else ""
                what = " (not fitted)" if corpus in UNLIKE else what
                shown = ", ".join(f"{error:+.4f}" for error in errors)
                print(f"    {corpus}{what}: found - law {shown}")


def main() -> None:
    """Measures the points that are named, or fits."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("points", nargs="*", help="MODEL:SIZE:STEPS")
    parser.add_argument("--corpus", default="shakespeare")
    parser.add_argument("--order", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--fit", action="store_true")
    arguments = parser.parse_args()
    if arguments.fit:
        fit()
    with tempfile.TemporaryDirectory() as folder:
        corpus = write(arguments.corpus, Path(folder))
        for point in arguments.points:
            model, size, steps = point.split(":")
            found = measure(
                arguments.corpus, corpus, model, size, int(steps), order=arguments.order,
                seed=arguments.seed,
            )  # fmt: skip
            with TABLE.open("a", encoding="utf-8") as file:
                file.write(json.dumps(found) + "\n")
            print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
