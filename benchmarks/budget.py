"""What each size for a time budget reaches after how many steps: `hornbook train --minutes` chooses by
the table that this makes.

    python benchmarks/budget.py --corpus shakespeare small:1000 small:2000 medium:500 ...

Every point is a whole training with its own horizon, for the loss depends on the steps that were
planned, not on the seconds that they took: so the machine may be busy. Points are appended to
benchmarks/budget.jsonl; `--fit` prints a + b * steps^-c of each size, the law of each in
`planning/decide/size.py`.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path

import numpy as np
from common import make_plan, size_settings, train_to_end

from hornbook.config import DataConfig, merge
from hornbook.data.corpora import load_corpus
from hornbook.planning.decide.size import SIZES

TABLE = Path(__file__).with_name("budget.jsonl")


def measure(corpus: str, size: str, steps: int, device: str) -> dict[str, object]:
    """Trains one size for so many steps and returns its loss in nats."""
    there = {"training": {"device": device}}
    kind = load_corpus(DataConfig(corpus=corpus)).kind
    chosen = SIZES[kind][size]
    probe = make_plan(corpus, settings=merge(size_settings(chosen, steps, 1.0), there))
    epochs = probe.tokens_per_step * steps / probe.data.train.n_targets
    plan = make_plan(corpus, settings=merge(size_settings(chosen, steps, epochs), there))
    found = train_to_end(plan)
    return {
        "corpus": corpus,
        "kind": kind,
        "size": size,
        "steps": steps,
        "epochs": round(epochs, 2),
        "val_loss": found["loss"],
        "ms": round(found["seconds"] / steps * 1e3, 1),
    }


def fit() -> None:
    """Prints the law of each size: least squares, with one exponent for each kind of text."""
    points = [json.loads(line) for line in TABLE.read_text("utf-8").splitlines()]
    for kind in sorted({p["kind"] for p in points}):
        counts = Counter(p["size"] for p in points if p["kind"] == kind)
        sizes = [size for size in SIZES[kind] if counts[size] > 1]
        best: tuple[float, float, dict[str, tuple[float, float]]] | None = None
        for c in np.arange(0.3, 1.3, 0.05):
            laws, error = {}, 0.0
            for size in sizes:
                own = [p for p in points if (p["kind"], p["size"]) == (kind, size)]
                steps = np.array([p["steps"] for p in own], float)
                losses = np.array([p["val_loss"] for p in own])
                basis = np.stack([np.ones_like(steps), steps**-c], 1)
                (a, b), *_ = np.linalg.lstsq(basis, losses, rcond=None)
                laws[size] = (float(a), float(b))
                error += float(((basis @ [a, b] - losses) ** 2).sum())
            if best is None or error < best[0]:
                best = (error, float(c), laws)
        assert best is not None
        for size, (a, b) in best[2].items():
            print(f"{kind} {size}: ({a:.3f}, {b:.2f}, {best[1]:.2f})")


def main() -> None:
    """Measures the points that are named, or fits."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("points", nargs="*", help="SIZE:STEPS")
    parser.add_argument("--corpus", default="shakespeare")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--fit", action="store_true")
    arguments = parser.parse_args()
    for point in arguments.points:
        size, _, steps = point.partition(":")
        found = measure(arguments.corpus, size, int(steps), arguments.device)
        with TABLE.open("a", encoding="utf-8") as file:
            file.write(json.dumps(found) + "\n")
        print(json.dumps(found), flush=True)
    if arguments.fit:
        fit()


if __name__ == "__main__":
    main()
