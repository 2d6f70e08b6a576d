"""How often a small text may be gone through before models learn it by heart.

    python benchmarks/small.py [--models gpt,mlp,...] [--names 1000,...] [--epochs 6,12,24,48]

Each model is trained by its default settings, but for the updates and the dropout, on the first of
the package's names, and scored on all validation names of the package. What `training/fitting.py` does
with small texts (EPOCHS, DROPOUT, SHARE) was chosen by this table. Prints it, then one JSON line.
"""

from __future__ import annotations

import argparse
import itertools
import json
from typing import Any

from hornbook.config import merge, presets
from hornbook.data.batches import Draw, build_batches
from hornbook.data.part import Part
from hornbook.engine.step import TrainStep
from hornbook.metrics.loss import evaluate
from hornbook.models.registry import parse_run_config
from hornbook.planning.fitting import SHARE
from hornbook.planning.plan import make_plan


def measure(model: str, names: int, epochs: float, dropout: float, device: str) -> dict[str, Any]:
    """One training."""
    preset = merge(
        presets.default(model, documents=True),
        {"model": {"dropout": dropout}, "training": {"device": device}},
    )
    plan = make_plan("names", preset=preset)
    part = Part.of_documents(plan.split.train[:names], plan.tokenizer)
    row = plan.tokens_per_step / plan.batches.batch_size  # tokens
    batch = max(1, min(plan.batches.batch_size, int(part.n_targets / (SHARE * row))))
    steps = max(2, round(epochs * part.n_targets / (batch * row)))
    config = plan.config.model_dump()
    config["training"]["steps"] = steps
    config["optim"]["warmup"] = min(config["optim"]["warmup"], steps // 10)
    plan.config = parse_run_config(config)
    batches = build_batches(
        part, plan.examples, plan.length, Draw(batch_size=batch, seed=0), plan.device
    )
    step = TrainStep(plan.model.train(), batches, plan.config, plan.precision)
    for i in range(steps):
        step(i)
    plan.train_part = part
    plan.model.calibrate(plan.training_windows)
    return {
        "model": model,
        "names": names,
        "per_token": round(plan.model.n_parameters / part.n_targets, 1),
        "epochs": epochs,
        "dropout": dropout,
        "updates": steps,
        "loss": round(evaluate(plan.model, plan.val_part).nats, 4),
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
