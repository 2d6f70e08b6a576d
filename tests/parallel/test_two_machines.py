"""A run over a network that is cut and whose other side is killed, by the kept script."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SKIPPED = 77


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_two_machines_that_lose_each_other_end_as_one() -> None:
    environment = {
        **os.environ, "PYTHONPATH": str(ROOT / "src"), "STEPS": "12", "HORNBOOK_RANKS_TIMEOUT": "10"
    }  # fmt: skip
    script = ["bash", str(ROOT / "benchmarks" / "two_machines.sh"), sys.executable]
    done = subprocess.run(
        [*script, "--parallel", "fsdp"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    if done.returncode == SKIPPED:
        pytest.skip(done.stdout.strip())
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["equal"]
