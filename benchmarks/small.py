"""How often a small text may be passed through before models memorize it.

    python benchmarks/small.py [--models gpt,mlp,...] [--names 1000,...] [--epochs 6,12,24,48]

Each model is trained by its default settings, but for the steps and the dropout, on the first of
the package's names, and scored on all validation names of the package. What hornbook does with
small texts (SMALL_TEXT_* in `planning/tuning.py`) was chosen by this table. Prints it, then one JSON
line.
"""

from __future__ import annotations

import argparse
import itertools
import json
from dataclasses import replace
from typing import Any

from common import make_plan, train_to_end

from hornbook.config import merge, presets
from hornbook.data.part import Part
from hornbook.models.registry import parse_run_config
from hornbook.planning.shape import Shape
from hornbook.planning.tuning import SMALL_TEXT_STEPS_PER_EPOCH


def measure(model: str, names: int, epochs: float, dropout: float, device: str) -> dict[str, Any]:
    """One training."""
    training = {"device": device, "precision": "fp32", "compile": "no"}
    settings = {"model": {"dropout": dropout}, "training": training}
    preset = merge(presets.default(model, documents=True), settings)
    whole = make_plan("names", preset=preset)
    part = Part.of_documents(whole.data.split.train[:names], whole.data.tokenizer)
    row = whole.shape.tokens_per_step(1)  # tokens
    most = int(part.n_targets / (SMALL_TEXT_STEPS_PER_EPOCH * row))
    batch = max(1, min(preset["training"]["batch_size"], most))
    steps = max(2, round(epochs * part.n_targets / (batch * row)))
    warmup = min(preset["optim"].get("warmup", 0), steps // 10)
    fields = {"training": {"steps": steps, "batch_size": batch}, "optim": {"warmup": warmup}}
    config = parse_run_config(merge(whole.config.model_dump(), fields))
    data = replace(whole.data, train=part)
    shape = Shape.of(whole.build_model(), data, config.training)
    found = train_to_end(replace(whole, config=config, data=data, shape=shape))
    return {
        "model": model,
        "names": names,
        "per_token": round(found["parameters"] / part.n_targets, 1),
        "epochs": epochs,
        "dropout": dropout,
        "steps": steps,
        "loss": found["loss"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", default="gpt,gpt2,mlp,wavenet,gru")
    parser.add_argument("--names", default="300,1000,3000")
    parser.add_argument("--epochs", default="6,12,24,48")
    parser.add_argument("--dropout", default="0.05,0.2,0.4")
    parser.add_argument("--device", default="auto")
    args = parser.parse_args()
    asked = (args.models, args.names, args.epochs, args.dropout)
    models, names, epochs, dropouts = (text.split(",") for text in asked)
    rows = []
    for model, n in itertools.product(models, map(int, names)):
        print(f"{model}, {n:,} names".ljust(24) + "".join(f"{float(e):>9g}" for e in epochs))
        for dropout in map(float, dropouts):
            row = [measure(model, n, float(e), dropout, args.device) for e in epochs]
            rows += row
            print(f"  dropout {dropout:g}".ljust(24) + "".join(f"{r['loss']:9.4f}" for r in row))
    print(json.dumps({"benchmark": "small", "rows": rows}))


if __name__ == "__main__":
    main()
