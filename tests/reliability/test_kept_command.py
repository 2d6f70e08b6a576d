"""The kept command, a few times each: children killed, starved and moved from outside."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
FAULTS = ["sigkill", "files", "file-size", "clock"]
BY_ROOT = ["disk-full", "read-only"]  # mounts a small disk, becomes somebody else


@pytest.mark.skipif(sys.platform != "linux", reason="forks, mounts and limits as Linux has them")
def test_nothing_is_lost(tmp_path: Path) -> None:
    faults = FAULTS + ([] if os.geteuid() else BY_ROOT)
    command = [sys.executable, str(ROOT / "benchmarks" / "reliability.py"), "--times", "2"]
    for fault in faults:
        command += ["--only", fault]
    environment = {**os.environ, "RELIABILITY_OUT": str(tmp_path)}
    done = subprocess.run(
        [*command, "--models", "mlp"], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    for fault in faults:
        result = json.loads((tmp_path / f"{fault}.json").read_text())
        assert result["lost"] == 0, result
        assert result["tried"] >= 2 or fault in BY_ROOT, result  # a container may forbid mounts
