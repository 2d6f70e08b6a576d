"""benchmarks/gpu.sh, tried on a CPU: on a lent GPU it must not fail for a silly reason."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "benchmarks" / "gpu.sh"


def test_it_ends_within_eight_minutes() -> None:
    seconds = re.findall(r"^part (\d+) ", SCRIPT.read_text("utf-8"), re.M)
    assert sum(map(int, seconds)) <= 480


@pytest.mark.skipif("HORNBOOK_DATA" not in os.environ, reason="needs HORNBOOK_DATA")
@pytest.mark.skipif(shutil.which("sh") is None, reason="needs sh")
def test_all_of_it_works_with_a_tiny_setting() -> None:
    done = subprocess.run(
        ["sh", str(SCRIPT), sys.executable, "--tiny"], capture_output=True, text=True, timeout=900,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    parts = [found["part"] for found in map(json.loads, lines) if "part" in found]
    assert parts == ["losses", "generation", "target", "share"]
    assert "failed" not in done.stdout
