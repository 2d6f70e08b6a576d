"""Time budgets: what is chosen for so many minutes, what that reaches, and whether it ends in time.

    HORNBOOK_DATA=... python benchmarks/minutes.py [CORPUS ...] [--minutes 0.05 0.25 1] [--seeds 1 2 3]

Each corpus (those of `corpora.py`, or that hornbook knows) is trained in turns by

- `hornbook train CORPUS --minutes M` (`chosen`),
- the same with `--model gpt`, the network alone (`network`),
- nanoGPT's recipe for a CPU (`nanogpt.py`) for the same minutes,

each as a process of its own, whose time is counted from its start to its end. `counts`: the best
Kneser-Ney counts of order 1 to 12 by the validation part. All losses are of the whole validation part.
On a machine with other work, `--processor-time` counts the seconds of the processor in place of those
of the clock, in every way alike, with one thread: what the minutes buy on one free core.
`peak`: floating-point operations of training (6 for each parameter and token) by what products of
matrices reach in the same second of one thread or two. Prints a line for each run, the table of the
medians, where a longer run was worse, then one JSON line.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from corpora import write

from hornbook.config import DataConfig, TokenizerConfig
from hornbook.data.training_data import load_training_data
from hornbook.metrics.counts import search_counts

WAYS: Mapping[str, Sequence[str]] = {"chosen": (), "network": ("--model", "gpt"), "nanogpt": ()}
BY_PROCESSOR = """
import runpy, sys, time
time.monotonic = time.perf_counter = time.process_time
sys.argv = sys.argv[1:]
if sys.argv[0] == "-m":
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
else:
    sys.path.insert(0, sys.argv[0].rpartition("/")[0])
    runpy.run_path(sys.argv[0], run_name="__main__")
"""
ALLOWED = 0.005  # nats that what is chosen may be worse than counts or network alone


def counts_loss(corpus: str) -> float:
    """The best counts of a text, by its validation part."""
    data = load_training_data(DataConfig.parse({"corpus": corpus}, "data"), TokenizerConfig())
    return search_counts(data.train, data.validation, data.tokenizer).loss


def peak() -> float:
    """Floating-point operations a second of products of matrices, float32, by all threads."""
    a, rates = torch.randn(1024, 1024), []
    for _ in range(10):
        begin = time.perf_counter()
        a @ a
        rates.append(2 * 1024**3 / (time.perf_counter() - begin))
    return max(rates)


def run(
    way: str, corpus: str, minutes: float, seed: int, out: Path, *,
    processor: bool = False, options: Sequence[str] = (),
) -> dict[str, Any]:  # fmt: skip
    """One run as a process: loss, steps, and minutes from start to end. options: further ones."""
    folder = Path(__file__).parent
    if way == "nanogpt":
        command = [str(folder / "nanogpt.py"), corpus]
    else:
        command = ["-m", "hornbook", "train", corpus, "--out", str(out), *WAYS[way], *options]
    environment = os.environ | {"OMP_NUM_THREADS": "1"} if processor else None
    if processor:
        command = ["-c", BY_PROCESSOR, *command]
    clock = _processor_seconds if processor else time.perf_counter
    begin = clock()
    done = subprocess.run(
        [sys.executable, *command, "--minutes", f"{minutes:g}", "--seed", str(seed)],
        capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip
    spent = (clock() - begin) / 60
    row: dict[str, Any] = {"way": way, "minutes": minutes, "seed": seed, "spent": round(spent, 3)}
    if done.returncode:
        return {**row, "val_loss": None, "why": done.stderr.strip().splitlines()[-1]}
    if way == "nanogpt":
        found = json.loads(done.stdout)
        return {**row, "val_loss": found["val_loss"], "steps": found["steps"]}
    facts, report = (json.loads((out / f).read_text()) for f in ("config.json", "report.json"))
    rate = report["tokens"] / max(report["seconds"], 1e-9)
    return {
        **row,
        "val_loss": round(report["validation"]["nats"], 4),
        "bits_per_byte": round(report["validation"]["bits_per_byte"], 4),
        "model": facts["config"]["model"]["name"],
        "size": facts["decisions"].get("size", {}).get("value"),
        "steps": report["steps"],
        "gflops": round(6e-9 * facts["n_parameters"] * rate, 1),
        "parts": {name: round(p["nats"], 4) for name, p in report.get("parts", {}).items()},
    }


def _processor_seconds() -> float:
    """Of the processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def medians(rows: Sequence[Mapping[str, Any]]) -> dict[tuple[str, float, str], float]:
    """The median loss of each corpus, budget and way."""
    losses: dict[tuple[str, float, str], list[float]] = {}
    for row in rows:
        if row["val_loss"] is not None:
            key = row["corpus"], row["minutes"], row["way"]
            losses.setdefault(key, []).append(row["val_loss"])
    return {key: round(statistics.median(found), 4) for key, found in losses.items()}


def main() -> None:
    """Measures the corpora that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpora", nargs="*", default=["makemore-names", "shakespeare", "docs"])
    parser.add_argument("--minutes", nargs="+", type=float, default=[0.05, 0.25, 1])
    parser.add_argument("--seeds", nargs="+", type=int, default=[1])
    parser.add_argument("--ways", nargs="+", choices=list(WAYS), default=list(WAYS))
    parser.add_argument("--processor-time", action="store_true")
    arguments = parser.parse_args()
    rows: list[dict[str, Any]] = []
    counts: dict[str, float] = {}
    print(f"peak {peak() / 1e9:.0f} GFLOP/s, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as folder:
        for corpus in arguments.corpora:
            text = write(corpus, Path(folder))
            counts[corpus] = round(counts_loss(text), 4)
            for minutes in sorted(arguments.minutes):
                for seed in arguments.seeds:
                    for way in arguments.ways:
                        out = Path(folder) / f"{corpus}-{minutes:g}-{seed}-{way}"
                        row = {
                            "corpus": corpus,
                            **run(
                                way, text, minutes, seed, out, processor=arguments.processor_time
                            ),
                        }
                        row["load"] = round(os.getloadavg()[0], 1)
                        rows.append(row)
                        print("  ".join(f"{k} {v}" for k, v in row.items()), flush=True)
    table, worse = medians(rows), list[str]()
    print("\n| corpus | minutes | chosen | counts | network | nanoGPT |\n" + "| --- " * 6 + "|")
    for corpus in arguments.corpora:
        before = float("inf")
        for minutes in sorted(arguments.minutes):
            losses = [table.get((corpus, minutes, way)) for way in WAYS]
            chosen, network = losses[:2]
            cells = [chosen, counts[corpus], *losses[1:]]
            shown = " | ".join("-" if loss is None else f"{loss:.4f}" for loss in cells)
            print(f"| {corpus} | {minutes:g} | {shown} |")
            if chosen is not None:
                if chosen > min(before, counts[corpus], network or chosen) + ALLOWED:
                    worse.append(f"{corpus} {minutes:g}")
                before = min(before, chosen)
    print("worse than in fewer minutes, counts or the network: " + (", ".join(worse) or "never"))
    print(json.dumps({"benchmark": "minutes", "rows": rows, "counts": counts, "worse": worse}))


if __name__ == "__main__":
    main()
