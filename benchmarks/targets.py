"""Seconds of training until a validation loss is reached, over the whole validation part.

    python benchmarks/targets.py names                                   2.10 nats, the package's list
    HORNBOOK_DATA=... python benchmarks/targets.py makemore-names        2.00 and 1.93
    HORNBOOK_DATA=... python benchmarks/targets.py shakespeare [--peer] [--long]  1.88; 1.47

A horizon is fixed beforehand, since the rate falls to nothing at its end: the loss is measured there
and must be below the target. `--peer` trains nanoGPT's recipe for a CPU (4 blocks of 128 channels,
context 64, batch 12, AdamW) in a plain float32 loop as well, measured every 250 updates, evaluations
not counted. Prints a table, then one JSON line.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

from hornbook.config import Nested, merge, presets
from hornbook.engine.step import TrainStep
from hornbook.metrics.loss import evaluate
from hornbook.planning.plan import make_plan
from hornbook.planning.sizes import SIZES, settings_of

SMALL = SIZES["documents"]["small"]
QUICK: Nested = {  # for seconds: neighbouring symbols need no attention to meet; higher rates
    "model": {"conv_kernel": 4, "pair_embedding": True},
    "optim": {"learning_rate": 0.02, "muon_learning_rate": 0.03, "warmup": 10},
}
JOINED: Nested = {  # a block less, and a convolution instead of pairs
    "model": {"n_layer": 3, "pair_embedding": False, "conv_kernel": 4, "dropout": 0.08},
    "optim": {"learning_rate": 0.01},
    "training": {"steps": 500},
}
SPRINTS: dict[str, list[tuple[float, Nested]]] = {  # targets and settings
    "names": [(2.10, settings_of(SMALL, 400, 1.0))],
    "makemore-names": [
        (2.00, merge(settings_of(SMALL, 360, 1.0), QUICK, {"model": {"n_layer": 2}})),
        (1.93, merge(presets.gpt_names(), JOINED)),
    ],
    "shakespeare": [(1.88, merge(settings_of(SMALL, 210, 0.2), QUICK, {"model": {"n_layer": 2}}))],
}
LONG = (  # minutes
    1.47,
    merge(presets.gpt_stream(), {"model": {"conv_kernel": 4}}),
)
PEER_EVERY = 250


def sprint(corpus: str, target: float, settings: Nested, device: str) -> dict[str, Any]:
    """One training to its horizon."""
    begin = time.perf_counter()
    asked = merge(settings, {"data": {"corpus": corpus}, "training": {"device": device}})
    plan = make_plan(corpus, settings=asked)
    step = TrainStep(plan.model.train(), plan.batches, plan.config, plan.precision, plan.compiled)
    ready = time.perf_counter()
    for i in range(plan.config.training.steps):
        loss = step(i)[0]
    loss.item()
    done = time.perf_counter()
    return {
        "target": target,
        "loss": round(evaluate(plan.model, plan.val_part).nats, 4),
        "training_s": round(done - ready, 1),
        "setup_s": round(ready - begin, 1),
        "updates": plan.config.training.steps,
        "precision": plan.precision,
    }


def peer(target: float, device: str) -> dict[str, Any]:
    """nanoGPT's settings for a CPU, plainly, until the target is reached or its 2,000 updates are."""
    settings = {"training": {"reference": True, "device": device}}
    plan = make_plan("shakespeare", preset="gpt2-stream", settings=settings)
    step = TrainStep(plan.model.train(), plan.batches, plan.config, "fp32")
    spent, steps = 0.0, plan.config.training.steps
    for first in range(0, steps, PEER_EVERY):
        begin = time.perf_counter()
        for i in range(first, min(first + PEER_EVERY, steps)):
            step(i)[0].item()
        spent += time.perf_counter() - begin
        loss = evaluate(plan.model, plan.val_part).nats
        if loss <= target:
            break
    return {
        "target": target,
        "loss": round(loss, 4),
        "training_s": round(spent, 1),
        "updates": i + 1,
        "precision": "fp32",
    }


def main() -> None:
    """Measures the corpora that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpora", nargs="*", default=["names"], choices=list(SPRINTS))
    parser.add_argument("--device", default="auto")
    parser.add_argument("--peer", action="store_true")
    parser.add_argument("--long", action="store_true", help="Shakespeare to 1.47 as well")
    arguments = parser.parse_args()
    rows = []
    for corpus in arguments.corpora:
        for target, settings in SPRINTS[corpus]:
            rows.append({"what": corpus, **sprint(corpus, target, settings, arguments.device)})
    if arguments.long:
        rows.append({"what": "shakespeare", **sprint("shakespeare", *LONG, arguments.device)})
    if arguments.peer:
        rows.append({"what": "nanoGPT's CPU recipe", **peer(1.88, arguments.device)})
    for row in rows:
        print("  ".join(f"{name} {value}" for name, value in row.items()), flush=True)
    print(json.dumps({"benchmark": "targets", "rows": rows}))


if __name__ == "__main__":
    main()
