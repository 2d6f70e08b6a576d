"""The script that kills ranks, a few times."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "ranks.py"


def test_killed_ranks_lose_nothing() -> None:
    """torchrun's agent starts them again; what they train is equal to the bit."""
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--kills", "2", "--seed", "1"],
        capture_output=True, text=True, timeout=600,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert (found["kills"], found["lost"]) == (2, 0)
