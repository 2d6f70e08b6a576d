"""Runs a function of a test file in several processes with Gloo, and returns what each wrote."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

PROGRAM = """
import importlib, json, sys
import torch, torch.distributed as dist
torch.set_num_threads(1)
module, name, rank, world, store, out, arguments = sys.argv[1:]
dist.init_process_group(
    "gloo", init_method="file://" + store, rank=int(rank), world_size=int(world)
)
found = getattr(importlib.import_module(module), name)(*json.loads(arguments))
with open(out, "w") as file:
    json.dump(found, file)
dist.barrier()
dist.destroy_process_group()
"""


def on_ranks(
    world: int, module: str, name: str, *arguments: Any, seconds: float = 120
) -> list[Any]:
    """What `module.name(*arguments)` returns on each of `world` ranks; arguments and results are JSON.

    Raises AssertionError with the output of the ranks where one fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        root = Path(__file__).parents[2]
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(root / "src"), str(root)]),
            "OMP_NUM_THREADS": "1",
            "GLOO_SOCKET_IFNAME": "lo",
        }
        ranks = [
            subprocess.Popen(
                [sys.executable, "-c", PROGRAM, module, name, str(rank), str(world),
                 f"{folder}/store", f"{folder}/{rank}.json", json.dumps(arguments)],
                env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            )
            for rank in range(world)
        ]  # fmt: skip
        try:
            outputs = [process.communicate(timeout=seconds)[0] for process in ranks]
        finally:
            for process in ranks:
                process.kill()
                process.wait()
        failed = [out for process, out in zip(ranks, outputs, strict=True) if process.returncode]
        assert not failed, "\n".join(failed)
        return [json.loads(Path(f"{folder}/{rank}.json").read_text()) for rank in range(world)]
