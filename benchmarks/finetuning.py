"""What a trained model is worth for another text, and what it forgets.

    python benchmarks/finetuning.py [--base names] [--text tests/corpora/finnish.txt] [--seeds 3]
    python benchmarks/finetuning.py --cost [--channels 384] [--layers 6]

A base is trained by the default settings of its text for each seed. The new text is then learned from
nothing, from the base, from the base with a quarter or half of each batch old text (replay), and with
LoRA; beside it stand the best counts. A quarter of the new text is held out, another one for each seed.
Losses are those of the whole validation parts, nats per token. What hornbook decides for training from
a base (CONTINUED_* and LORA_RATE in `planning/tuning.py`) was chosen by this table. --cost: memory and
time of a step of LoRA and of all weights, each in a process of its own. Prints a table, then one JSON
line.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

import hornbook

ROOT = Path(__file__).parent.parent
WAYS: dict[str, dict[str, Any] | None] = {
    "from nothing": None,
    "all weights": {},
    "all weights, a quarter replay": {"replay": 0.25},
    "all weights, half replay": {"replay": 0.5},
    "LoRA 8": {"lora_rank": 8},
    "LoRA 8, half replay": {"lora_rank": 8, "replay": 0.5},
}
PINNED = {"sample_count": 0, "threads": 1, "precision": "fp32", "compile": "no"}


def measure(base: hornbook.Run, text: Path, way: str, seed: int, out: Path) -> dict[str, Any]:
    """One training on the new text."""
    finetuning = WAYS[way]
    data = {"validation": 0.25, "test": 0.0, "split_seed": seed}
    settings: dict[str, Any] = {"training": PINNED, "data": data}
    if finetuning is not None:
        settings["finetuning"] = {"grow": True, **finetuning}
    run = hornbook.train(
        text, base=None if finetuning is None else base, seed=seed, settings=settings, out=out,
        progress=False,
    )  # fmt: skip
    report = run.report
    old = report.get("old_text", {})
    return {
        "way": way,
        "seed": seed,
        "new": report["validation"]["nats"],
        "counts": report["counts"]["loss"],
        "old_before": old.get("before"),
        "old": old.get("nats"),
        "best_step": report["best_step"],
        "trained": run.facts.get("trained_parameters") or run.facts["n_parameters"],
    }


def compare(base: str, text: Path, seeds: int) -> None:
    """The table of losses."""
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(1, seeds + 1):
            place = Path(folder) / f"seed-{seed}"
            first = hornbook.train(
                base, seed=seed, settings={"training": PINNED}, out=place / "base", progress=False
            )
            for i, way in enumerate(WAYS):
                rows.append(measure(first, text, way, seed, place / f"run-{i}"))
                print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    before = statistics.mean(r["old_before"] for r in rows if r["old_before"] is not None)
    print(f"| {text.stem}, {seeds} seeds | new text | old text ({before:.3f} before) | trained |")
    print("| --- | --- | --- | --- |")
    counts = [r["counts"] for r in rows if r["way"] == "from nothing"]
    print(f"| counts | {statistics.mean(counts):.3f} (± {statistics.stdev(counts):.3f}) | | |")
    for way in WAYS:
        found = [r for r in rows if r["way"] == way]
        old = [r["old"] for r in found if r["old"] is not None]
        spread = statistics.stdev(r["new"] for r in found)
        new = f"{statistics.mean(r['new'] for r in found):.3f} (± {spread:.3f})"
        last = f"{statistics.mean(old):.3f}" if old else ""
        print(f"| {way} | {new} | {last} | {found[0]['trained']:,} |")
    print(json.dumps(rows))


def cost_of(way: str, channels: int, layers: int, steps: int) -> dict[str, Any]:
    """Memory and processor time of steps of one way, in this process."""
    from hornbook.config import DataConfig, FinetuningConfig, TokenizerConfig
    from hornbook.data.batches import Draw, build_batches
    from hornbook.data.training_data import load_training_data
    from hornbook.engine.step import OptimizerStep
    from hornbook.models.registry import build_model, parse_run_config
    from hornbook.planning.decide.memory import weights_bytes
    from hornbook.planning.start import Start

    data = load_training_data(DataConfig(), TokenizerConfig())
    vocab_size = data.tokenizer.vocab_size
    heads = channels // 64
    config = parse_run_config(
        {
            "model": {
                "name": "gpt", "n_layer": layers, "n_head": heads, "n_kv_head": heads,
                "n_embd": channels, "n_hidden": 3 * channels, "context_length": 128,
            },
            "optim": {"name": "adamw"},
        }
    )  # fmt: skip
    torch.set_num_threads(1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    own = build_model(config.model, vocab_size, data.tokenizer.end_id)
    n_parameters = own.n_parameters
    finetuning = FinetuningConfig(base="random weights", **(WAYS[way] or {}))
    facts = {"vocab_size": vocab_size}
    Start(facts=facts, config=finetuning, tensors=None, old=None).begin(own)
    batches = build_batches(data.train, "sequences", 128, Draw(batch_size=8, seed=0))
    step = OptimizerStep(own.train(), batches, config)
    step(0)
    begin = time.process_time()
    for i in range(1, steps):
        step(i)
    seconds = (time.process_time() - begin) / (steps - 1)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "way": way,
        "parameters": n_parameters,
        "trained": sum(p.numel() for p in own.parameters() if p.requires_grad),
        "weights_mb": weights_bytes(own, config) / 1e6,
        "peak_mb": (peak - before) / 1e3,
        "step_seconds": seconds,
    }


def cost(channels: int, layers: int) -> None:
    """The table of memory and time."""
    rows = []
    for way in ("all weights", "LoRA 8"):
        words = [sys.executable, __file__, "--one", way]
        words += ["--channels", str(channels), "--layers", str(layers)]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        rows.append(json.loads(done.stdout.splitlines()[-1]))
    n = rows[0]["parameters"] / 1e6
    print(
        f"| gpt of {n:.1f} M parameters | trained | weights, gradients, optimizer | peak | time |"
    )
    print("| --- | --- | --- | --- | --- |")
    for r in rows:
        share = r["step_seconds"] / rows[0]["step_seconds"]
        sizes = " | ".join(f"{r[kind]:,.0f} MB" for kind in ("weights_mb", "peak_mb"))
        print(f"| {r['way']} | {r['trained']:,} | {sizes} | {share:.2f} |")
    print(json.dumps(rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", default="names")
    parser.add_argument("--text", type=Path, default=ROOT / "tests/corpora/finnish.txt")
    parser.add_argument("--seeds", type=int, default=3, help="two or more")
    parser.add_argument("--cost", action="store_true")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--channels", type=int, default=384)
    parser.add_argument("--layers", type=int, default=6)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(cost_of(args.one, args.channels, args.layers, steps=4)))
    elif args.cost:
        cost(args.channels, args.layers)
    else:
        compare(args.base, args.text, args.seeds)


if __name__ == "__main__":
    main()
