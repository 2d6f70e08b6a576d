"""Several processes on this machine, by torchrun's own agent: what a step costs, and what a kill costs.

    python benchmarks/ranks.py [--model gpt] [--steps 12]
    python benchmarks/ranks.py --kills 100 [--ranks 2] [--seed 0]

The first prints seconds of a step and bytes sent by a process, of one process with two threads against
two with one each and four, all with the same batch. The second kills a random rank at random moments;
the agent starts all of them again, and each run is compared bit for bit with one that nothing happened
to: weights, newest state and log, times aside. Processes are forked from one that has imported torch.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import random
import shutil
import signal
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch.distributed.elastic.multiprocessing.api import DefaultLogsSpecs, Std
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

import hornbook
from hornbook.data.training_data import TrainingData
from hornbook.engine.compiled import Form
from hornbook.engine.device import use_threads
from hornbook.engine.step import OptimizerStep, Parallel
from hornbook.files import read_tensors
from hornbook.parallel.ranks import joined
from hornbook.planning.request import read_request
from hornbook.planning.resolve import resolve
from hornbook.runs.directory import StoredRun
from hornbook.training.callbacks.logging import MEASURED

PINNED = {"precision": "fp32", "threads": 1, "compile": "no"}
TINY = {  # a run that takes a second, saved every two steps
    "model": {"n_layer": 1, "n_head": 2, "n_kv_head": 2, "n_embd": 16, "n_hidden": 24},
    "training": {"steps": 24, "batch_size": 10, "eval_count": 12, "sample_count": 1, **PINNED},
}
WORDS = [a + b + c for a in ("ba", "ko", "mi") for b in ("tu", "re", "la") for c in "nslk"]


def launch(work: Callable[..., Any], n: int, *arguments: Any, restarts: int = 0) -> Any:
    """What rank 0 of n returns; where a rank fails, all of them are started again, so often."""
    multiprocessing.set_forkserver_preload(["hornbook.api"])
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=n,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        run_id=f"ranks-{random.random()}",
        max_restarts=restarts,
        monitor_interval=0.05,
        start_method="forkserver",
        local_addr="localhost",
        logs_specs=DefaultLogsSpecs(log_dir=tempfile.mkdtemp(), redirects=Std.ALL),
    )
    return elastic_launch(config, work)(*arguments)[0]


def time_steps(
    model: str, steps: int, threads: int, parallel: Parallel, compiled: Form = "no"
) -> dict[str, float]:
    """Median seconds of a step and of what it waits for the others, and bytes that it sends."""
    with joined("cpu") as ranks, use_threads(threads):
        settings = {"training": {**PINNED, "threads": threads, "batch_size": 64}}
        plan = resolve(read_request("names", model=model, settings=settings))
        data: TrainingData = plan.data
        draw = plan.build_batches().draw
        shared = type(draw)(
            batch_size=64, seed=draw.seed, rank=ranks.rank, world_size=ranks.world_size
        )
        batches = plan.shape.build_batches(data.train, shared, plan.device)
        own = plan.build_model().train()
        size = sum(p.nbytes for p in own.parameters())
        step = OptimizerStep(
            own, batches, plan.config, compiled=compiled, ranks=ranks, parallel=parallel
        )
        seconds, waited = [], []
        for i in range(steps):
            begin, before = time.perf_counter(), ranks.seconds
            step(i)
            seconds.append(time.perf_counter() - begin)
            waited.append(ranks.seconds - before)
        # a ring's all-reduce of gradients; of sharded weights two gathers, and gradients scattered
        passes = 2 if parallel == "ddp" else 3
        sent = passes * (ranks.world_size - 1) / ranks.world_size * size
    return {
        "seconds": statistics.median(seconds[2:]),
        "waited": statistics.median(waited[2:]),
        "sent": sent,
    }


def table(model: str, steps: int, *, compiled: bool) -> None:
    """Prints what a step costs in one process and in several; compiled: also with compiled blocks."""
    found = {}
    print(f"{model} on names, a batch of 64 rows, float32\n")
    print("| processes | threads of each | | ms a step | of it waiting | MB sent by each |")
    print("| ---: | ---: | --- | ---: | ---: | ---: |")
    ways = [(1, 2, ""), (1, 1, ""), *((n, 1, way) for n in (2, 4) for way in ("ddp", "fsdp"))]
    if compiled:
        ways = [(2, 1, "fsdp"), (2, 1, "fsdp, compiled")]
    for n, threads, way in ways:
        kind, _, form = way.partition(", ")
        arguments = model, steps, threads, kind or "ddp", "blocks" if form else "no"
        figures = launch(time_steps, n, *arguments)
        found[f"{n}x{threads}{way}"] = figures
        share = figures["waited"] / figures["seconds"]
        print(
            f"| {n} | {threads} | {way} | {figures['seconds'] * 1e3:.1f} | {share:.0%} | "
            f"{figures['sent'] / 1e6:.2f} |",
            flush=True,
        )
    print(json.dumps({"model": model, "torch": torch.__version__, **found}))


def train(folder: str, corpus: str, out: str) -> None:
    """Trains a run, or goes on with it; says which process this rank is."""
    (Path(folder) / f"pid-{os.environ['RANK']}").write_text(str(os.getpid()))
    hornbook.train(corpus, out=out, settings=TINY, progress=False)


@contextlib.contextmanager
def killer(
    folder: Path, n: int, rng: random.Random, most: int, seconds: float
) -> Iterator[list[int]]:
    """Kills a random rank at random moments, `most` times at most, while inside. Yields the kills."""
    kills: list[int] = []
    over = threading.Event()

    def work() -> None:
        while len(kills) < most and not over.wait(rng.uniform(0.1, seconds)):
            rank = rng.randrange(n)
            with contextlib.suppress(OSError, ValueError):
                os.kill(int((folder / f"pid-{rank}").read_text()), signal.SIGKILL)
                kills.append(rank)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield kills
    finally:
        over.set()
        thread.join()


def contents(path: Path) -> tuple[dict[str, bytes], list[dict[str, Any]]]:
    """The best weights and the newest state as bytes, and the log without times."""
    newest = sorted((path / "last").glob("state-*.safetensors"))[-1]
    tensors = {
        f"{file.name[:5]}.{name}": t.numpy().tobytes()
        for file in (path / "model.safetensors", newest)
        for name, t in read_tensors(file).items()
    }
    log = [{k: v for k, v in r.items() if k not in MEASURED} for r in StoredRun.load(path).log]
    return tensors, log


def kill(times: int, n: int, seed: int) -> int:
    """Kills ranks so many times, and returns how many runs then differ from one without a kill."""
    rng, folder = random.Random(seed), Path(tempfile.mkdtemp(prefix="hornbook-ranks-"))
    corpus = folder / "words.txt"
    corpus.write_text("\n".join(WORDS))
    os.environ["HORNBOOK_CACHE"] = str(folder / "cache")
    begin = time.monotonic()
    launch(train, n, str(folder), str(corpus), str(folder / "whole"))
    seconds = time.monotonic() - begin
    whole = contents(folder / "whole")
    killed = runs = lost = 0
    while killed < times:
        out, runs = folder / f"run-{runs}", runs + 1
        most = min(times - killed, rng.randint(1, 5))
        begin = time.monotonic()
        with killer(folder, n, rng, most, seconds) as kills:
            launch(train, n, str(folder), str(corpus), str(out), restarts=10 * times)
        if not kills:  # it ended before: the machine has less other work now
            seconds = time.monotonic() - begin
        killed += len(kills)
        lost += contents(out) != whole or not StoredRun.load(out).report
        print(f"run {runs}: {len(kills)} kills, {killed} in all, {lost} runs lost", flush=True)
    shutil.rmtree(folder)
    print(json.dumps({"ranks": n, "kills": killed, "runs": runs, "lost": lost}))
    return lost


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="gpt")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--compiled", action="store_true", help="fsdp alone, with compiled blocks")
    parser.add_argument("--kills", type=int)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if args.kills is not None:
        return int(kill(args.kills, args.ranks, args.seed) > 0)
    table(args.model, args.steps, compiled=args.compiled)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
