"""Seconds of training until a validation loss is reached, over the whole validation part.

    python benchmarks/targets.py names                                   2.10 nats, the package's list
    HORNBOOK_DATA=... python benchmarks/targets.py makemore-names        2.00 and 1.93
    HORNBOOK_DATA=... python benchmarks/targets.py shakespeare [--peer] [--long]  1.88; 1.47

The number of steps is fixed beforehand, since the learning rate falls to zero at the last: the loss is
measured there and must be below the target. `--peer` trains nanoGPT's recipe for a CPU (4 blocks of 128
channels, context 64, batch 12, AdamW) with the reference kernels in float32 as well, measured every 250
steps, evaluations not counted. Prints a table, then one JSON line.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

from common import build_step, make_plan, size_settings, train_steps, validation_loss

from hornbook.config import Nested, merge, presets
from hornbook.planning.decide.size import SIZES

SMALL = SIZES["documents"]["small"]
QUICK: Nested = {  # for seconds: neighboring tokens need no attention to meet
    "model": {"conv_kernel": 4, "pair_embedding": True},
    "optim": {"learning_rate": 0.02, "muon_learning_rate": 0.03, "warmup": 10},
}
JOINED: Nested = {  # a block less, and a convolution instead of pairs
    "model": {"n_layer": 3, "pair_embedding": False, "conv_kernel": 4, "dropout": 0.08},
    "optim": {"learning_rate": 0.01},
    "training": {"steps": 500},
}
SPRINTS: dict[str, list[tuple[float, Nested]]] = {  # targets and settings
    "names": [(2.10, size_settings(SMALL, 400, 1.0))],
    "makemore-names": [
        (2.00, merge(size_settings(SMALL, 360, 1.0), QUICK, {"model": {"n_layer": 2}})),
        (1.93, merge(presets.named("gpt-names"), JOINED)),
    ],
    "shakespeare": [
        (1.88, merge(size_settings(SMALL, 210, 0.2), QUICK, {"model": {"n_layer": 2}}))
    ],
}
LONG = (  # takes minutes
    1.47,
    merge(presets.default("gpt", documents=False), {"model": {"conv_kernel": 4}}),
)
PEER_EVERY = 250


def sprint(corpus: str, target: float, settings: Nested, device: str) -> dict[str, Any]:
    """One training to its horizon."""
    begin = time.perf_counter()
    plan = make_plan(corpus, settings=merge(settings, {"training": {"device": device}}))
    step, steps = build_step(plan), plan.config.training.steps
    setup = time.perf_counter() - begin
    seconds = train_steps(plan, step, 0, steps)
    return {
        "target": target,
        "loss": round(validation_loss(plan, step), 4),
        "training_s": round(seconds, 1),
        "setup_s": round(setup, 1),
        "steps": steps,
        "precision": plan.precision,
    }


def peer(target: float, device: str) -> dict[str, Any]:
    """nanoGPT's settings for a CPU with the reference kernels, until the target is reached or its
    2,000 steps are over."""
    settings = {"training": {"reference": True, "device": device}}
    plan = make_plan("shakespeare", preset="gpt2-stream", settings=settings)
    step, steps, seconds = build_step(plan), plan.config.training.steps, 0.0
    for first in range(0, steps, PEER_EVERY):
        until = min(first + PEER_EVERY, steps)
        seconds += train_steps(plan, step, first, until)
        loss = validation_loss(plan, step)
        if loss <= target:
            break
    return {
        "target": target,
        "loss": round(loss, 4),
        "training_s": round(seconds, 1),
        "steps": until,
        "precision": plan.precision,
    }


def show(row: dict[str, Any]) -> None:
    """Prints a row of the table."""
    print("  ".join(f"{name} {value}" for name, value in row.items()), flush=True)


def main() -> None:
    """Measures the corpora that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpora", nargs="*", default=["names"], choices=list(SPRINTS))
    parser.add_argument("--device", default="auto")
    parser.add_argument("--peer", action="store_true")
    parser.add_argument("--long", action="store_true", help="Shakespeare to 1.47 as well")
    arguments = parser.parse_args()
    corpora, device = arguments.corpora, arguments.device
    goals = [(corpus, *goal) for corpus in corpora for goal in SPRINTS[corpus]]
    if arguments.long:
        goals.append(("shakespeare", *LONG))
    rows = []
    for corpus, target, settings in goals:
        rows.append({"what": corpus, **sprint(corpus, target, settings, device)})
        show(rows[-1])
    if arguments.peer:
        rows.append({"what": "nanoGPT's CPU recipe", **peer(1.88, device)})
        show(rows[-1])
    print(json.dumps({"benchmark": "targets", "rows": rows}))


if __name__ == "__main__":
    main()
