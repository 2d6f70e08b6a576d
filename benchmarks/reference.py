"""Every model by default against the plain path (`--reference`): nothing is to be slower.

    python benchmarks/reference.py [--models gpt,mlp,...] [--precision fp32] [--device cpu]

Updates of a model's default settings, on the package's names and on a stream of made-up text, in
turns within one run; milliseconds an update, medians; the ratio is the median of those of the turns.
Rotary positions and the short convolution are the same on both sides. Prints a table, then one JSON
line.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import statistics
import tempfile
import time
from pathlib import Path

import torch

from hornbook.config import merge
from hornbook.engine.step import TrainStep
from hornbook.models.registry import MODELS
from hornbook.planning.plan import make_plan

ROUNDS = 9
SECONDS = 0.4  # of a turn, about
UNTRAINED = ("ngram", "mixture")


def measure(model: str, corpus: str, kind: str, device: str, precision: str) -> dict[str, object]:
    """Both sides of one model."""
    steps = []
    for plain in (False, True):
        training = {"reference": plain, "device": device, "precision": precision, "compile": "no"}
        settings = merge({"data": {"kind": kind}}, {"training": training})
        preset = "gpt2-stream" if (model, kind) == ("gpt2", "stream") else None
        plan = make_plan(corpus, model=model, preset=preset, settings=settings)
        steps.append(TrainStep(plan.model.train(), plan.batches, plan.config, plan.precision))

    def turn(step: TrainStep, updates: int) -> float:
        begin = time.perf_counter()
        for i in range(updates):
            step(i)
        if device == "cuda":
            torch.cuda.synchronize()
        return (time.perf_counter() - begin) / updates

    for step in steps:
        turn(step, 5)
    updates = max(1, int(SECONDS / turn(steps[0], 3)))
    turns = [[turn(step, updates) for step in steps] for _ in range(ROUNDS)]
    fast, plain = (1e3 * statistics.median(side) for side in zip(*turns, strict=True))
    ratio = statistics.median(b / a for a, b in turns)
    return {"model": model, "kind": kind, "ms": fast, "plain_ms": plain, "ratio": ratio}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", default=",".join(m for m in MODELS if m not in UNTRAINED))
    parser.add_argument("--precision", default="auto", choices=["auto", "fp32", "bf16"])
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    args = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder) / "text.txt"
        text.write_text("".join(random.Random(0).choices("etaoin shrdlu,.\n", k=300_000)))
        print(f"{'model':10}{'text':12}{'default':>10}{'plain':>10}{'ratio':>8}")
        for model, (corpus, kind) in itertools.product(
            args.models.split(","), (("names", "documents"), (str(text), "stream"))
        ):
            row = measure(model, corpus, kind, args.device, args.precision)
            print(f"{model:10}{kind:12}{row['ms']:10.2f}{row['plain_ms']:10.2f}{row['ratio']:8.2f}")
            rows.append(row)
    machine = {"threads": torch.get_num_threads(), "torch": torch.__version__}
    print(json.dumps({"benchmark": "reference", **machine, "rows": rows}))


if __name__ == "__main__":
    main()
