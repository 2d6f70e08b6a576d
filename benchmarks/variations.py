"""What variations of the GPT are worth, over seeds, at the same updates.

    HORNBOOK_DATA=... python benchmarks/variations.py [--sizes small medium] [--seeds 3] [--kind stream]

Streams: two sizes of the dial of minutes on the training part of Shakespeare, its last tenth
held out here, so that nothing is chosen by the part that figures are quoted on. Documents: the names
of the package. Prints a line for each training, then means with the standard error of their
difference from the plain model, pairing seeds; then one JSON line.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from hornbook.config import DataConfig, Nested, merge
from hornbook.data.corpora import load_corpus
from hornbook.engine.step import TrainStep
from hornbook.metrics.loss import evaluate
from hornbook.planning.plan import make_plan
from hornbook.planning.sizes import SIZES, settings_of

VARIATIONS: dict[str, Nested] = {
    "plain": {},
    "pairs": {"pair_embedding": True},
    "convolution": {"conv_kernel": 4},
    "both": {"pair_embedding": True, "conv_kernel": 4},
}
UPDATES = {"small": 400, "medium": 600}
EPOCHS = {"documents": 3.0, "stream": 0.9}  # about; they decide on the dropout


def measure(
    corpus: str, kind: str, size: str, variation: str, seed: int, device: str
) -> dict[str, Any]:
    """One training to its horizon."""
    updates = UPDATES[size]
    settings = merge(
        settings_of(SIZES["documents"][size], updates, EPOCHS[kind]),
        {"model": VARIATIONS[variation], "training": {"seed": seed, "device": device}},
        {"data": {"corpus": corpus, "kind": kind}},
    )
    plan = make_plan(corpus, settings=settings)
    step = TrainStep(plan.model.train(), plan.batches, plan.config, plan.precision, plan.compiled)
    begin = time.perf_counter()
    for i in range(updates):
        step(i)
    seconds = time.perf_counter() - begin
    loss = round(evaluate(plan.model, plan.val_part).nats, 4)
    return {
        "kind": kind,
        "size": size,
        "variation": variation,
        "seed": seed,
        "loss": loss,
        "seconds": round(seconds, 1),
        "parameters": plan.model.n_parameters,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", nargs="*", default=["small"], choices=list(UPDATES))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--kind", default="stream", choices=["stream", "documents"])
    parser.add_argument("--device", default="auto")
    args = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        corpus = "names"
        if args.kind == "stream":
            path = Path(folder) / "training.txt"
            text = load_corpus(DataConfig(corpus="shakespeare")).text
            path.write_text(text[: int(0.9 * len(text))])
            corpus = str(path)
        for size, seed, variation in itertools.product(args.sizes, range(args.seeds), VARIATIONS):
            row = measure(corpus, args.kind, size, variation, seed, args.device)
            print("  ".join(f"{name} {value}" for name, value in row.items()), flush=True)
            rows.append(row)
    for size, variation in itertools.product(args.sizes, VARIATIONS):
        losses, plain = (
            [r["loss"] for r in rows if r["size"] == size and r["variation"] == v]
            for v in (variation, "plain")
        )
        gains = [a - b for a, b in zip(losses, plain, strict=True)]
        error = statistics.stdev(gains) / len(gains) ** 0.5 if len(gains) > 1 else math.nan
        print(f"{size:8}{variation:14}{statistics.mean(losses):8.4f}"
              f"{statistics.mean(gains):+9.4f} +- {error:.4f}")  # fmt: skip
    print(json.dumps({"benchmark": "variations", "rows": rows}))


if __name__ == "__main__":
    main()
