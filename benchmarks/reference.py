"""Every model by default against the reference kernels (`--reference`): nothing is to be slower.

    python benchmarks/reference.py [--models gpt,mlp,...] [--precision fp32] [--device cpu]

Steps of a model's default settings, on the package's names and on a stream of made-up text, in turns
within one run, on all threads; milliseconds a step, medians; the ratio is the median of those of the
turns.
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
from common import build_step, make_plan

from hornbook.engine.device import synchronize
from hornbook.engine.step import OptimizerStep
from hornbook.models.registry import MODELS

ROUNDS = 9
SECONDS = 0.4  # of a turn, about
UNTRAINED = ("ngram", "mixture")


def measure(
    model: str, corpus: str, kind: str, device: str, precision: str, rounds: int
) -> dict[str, object]:
    """Both sides of one model."""
    steps = []
    for reference in (False, True):
        training = {"reference": reference, "device": device, "precision": precision}
        training |= {"compile": "no", "threads": torch.get_num_threads()}
        settings = {"data": {"kind": kind}, "training": training}
        preset = "gpt2-stream" if (model, kind) == ("gpt2", "stream") else None
        plan = make_plan(corpus, model=model, preset=preset, settings=settings)
        steps.append(build_step(plan))

    def turn(step: OptimizerStep, n: int) -> float:
        begin = time.perf_counter()
        for i in range(n):
            step(i)
        synchronize(plan.device)
        return (time.perf_counter() - begin) / n

    for step in steps:
        turn(step, 5)
    n = max(1, int(SECONDS / turn(steps[0], 3)))
    turns = [[turn(step, n) for step in steps] for _ in range(rounds)]
    default, reference_ms = (1e3 * statistics.median(side) for side in zip(*turns, strict=True))
    ratio = statistics.median(b / a for a, b in turns)
    row = {"model": model, "kind": kind, "ms": default, "reference_ms": reference_ms}
    return {**row, "ratio": ratio}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", default=",".join(m for m in MODELS if m not in UNTRAINED))
    parser.add_argument("--precision", default="auto", choices=["auto", "fp32", "bf16"])
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    args = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder) / "text.txt"
        text.write_text("".join(random.Random(0).choices("etaoin shrdlu,.\n", k=300_000)))
        print(f"{'model':10}{'text':12}{'default':>10}{'reference':>10}{'ratio':>8}")
        for model, (corpus, kind) in itertools.product(
            args.models.split(","), (("names", "documents"), (str(text), "stream"))
        ):
            row = measure(model, corpus, kind, args.device, args.precision, args.rounds)
            print(
                f"{model:10}{kind:12}{row['ms']:10.2f}{row['reference_ms']:10.2f}{row['ratio']:8.2f}"
            )
            rows.append(row)
    machine = {"threads": torch.get_num_threads(), "torch": torch.__version__}
    print(json.dumps({"benchmark": "reference", **machine, "rows": rows}))


if __name__ == "__main__":
    main()
