"""What networks and hybrids of each size reach on texts of different kinds, after how many steps:
`hornbook train --minutes` chooses by laws that are fitted to the table that this makes.

    python benchmarks/budget.py --corpus shakespeare gpt:small:1000 hybrid:small:1000 ...
    python benchmarks/budget.py --fit

Every point is a whole training with its own horizon, for the loss depends on the steps that were
planned, not on the seconds that they took: so the machine may be busy. Corpora are those of
`corpora.py`, or that hornbook knows. Points are appended to benchmarks/budget.jsonl. `order`: of the
hybrid's counts, by default what `--minutes` chooses. `counts`: the loss of the best order on a tenth of
the training part (`metrics.counts.search_order`); `counts_val`: of that order on the validation part.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from common import make_plan, size_settings, train_to_end
from corpora import write

from hornbook.config import DataConfig, Nested, merge
from hornbook.data.training_data import TrainingData, load_training_data
from hornbook.metrics.counts import HIGHEST, search_counts, search_order
from hornbook.planning.decide.size import SIZES
from hornbook.planning.tuning import HIGHER_ORDER

TABLE = Path(__file__).with_name("budget.jsonl")


@cache
def facts(name: str, corpus: str) -> tuple[TrainingData, dict[str, Any]]:
    """A text and what is known of it before training; its losses of counts on the validation part."""
    data = load_training_data(DataConfig.parse({"corpus": corpus}, "data"), "char")
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
        higher = 0 if data.corpus.kind == "documents" else HIGHER_ORDER
        order = min(known["counts_order"] + higher, HIGHEST)
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
        "val_loss": found["loss"],
        "ms": round(found["seconds"] / steps * 1e3, 1),
    }


def main() -> None:
    """Measures the points that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("points", nargs="*", help="MODEL:SIZE:STEPS")
    parser.add_argument("--corpus", default="shakespeare")
    parser.add_argument("--order", type=int)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
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
