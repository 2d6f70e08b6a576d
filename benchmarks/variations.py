"""What variations of the GPT are worth, over seeds, after the same steps.

    HORNBOOK_DATA=... python benchmarks/variations.py [--sizes small medium] [--seeds 3] [--kind stream]

Streams: two sizes of the time budgets on the training part of Shakespeare, its last tenth
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
from pathlib import Path
from typing import Any

from common import make_plan, size_settings, train_to_end

from hornbook.config import DataConfig, Nested, merge
from hornbook.data.corpora import load_corpus
from hornbook.planning.decide.size import SIZES

VARIATIONS: dict[str, Nested] = {
    "plain": {},
    "pairs": {"pair_embedding": True},
    "convolution": {"conv_kernel": 4},
    "both": {"pair_embedding": True, "conv_kernel": 4},
}
STEPS = {"small": 400, "medium": 600}
EPOCHS = {"documents": 3.0, "stream": 0.9}  # about; they decide on the dropout


def measure(
    corpus: str, kind: str, size: str, variation: str, seed: int, device: str, steps: int | None
) -> dict[str, Any]:
    """One training to its horizon."""
    settings = merge(
        size_settings(SIZES["documents"][size], steps or STEPS[size], EPOCHS[kind]),
        {"model": VARIATIONS[variation], "training": {"seed": seed, "device": device}},
        {"data": {"kind": kind}},
    )
    found = train_to_end(make_plan(corpus, settings=settings))
    return {
        "kind": kind,
        "size": size,
        "variation": variation,
        "seed": seed,
        "loss": found["loss"],
        "seconds": round(found["seconds"], 1),
        "parameters": found["parameters"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", nargs="*", default=["small"], choices=list(STEPS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, help="of each training (default: by its size)")
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
            row = measure(corpus, args.kind, size, variation, seed, args.device, args.steps)
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
