"""A run that two processes want to train, and what a killed one leaves behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import hornbook
import hornbook.runs.directory as run_module
from hornbook.errors import RunError
from tests.training.helpers import Listen


def test_the_second_process_is_refused_and_told_who_the_first_is(copy: Path) -> None:
    program = (
        "import sys, hornbook\n"
        "from hornbook.runs.lock import Lock\n"
        "from pathlib import Path\n"
        f"with Lock(Path({str(copy)!r})):\n"
        "    print('held', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    first = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert first.stdin is not None
    assert first.stdout is not None
    assert first.stdout.readline() == "held\n"
    with pytest.raises(RunError, match=rf"process {first.pid} on .*since 20.* is training it"):
        hornbook.resume(copy)
    first.kill()
    first.wait()
    first.stdin.close()
    first.stdout.close()
    heard = Listen()
    assert hornbook.resume(copy, callbacks=[heard]).report["steps"] == 12
    assert heard.says(f"process {first.pid} on", "was killed")


def test_what_a_killed_process_was_writing_is_swept(
    corpus: Path, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (copy / ".model.safetensors.77.partial").write_bytes(b"half")
    hornbook.resume(copy)
    assert not list(copy.glob(".*.partial"))
    monkeypatch.setattr(run_module, "alive", lambda pid: pid == "78")
    for pid in (77, 78):
        (copy.parent / f".new.{pid}.partial").mkdir()
    hornbook.train(str(corpus), model="ngram", out=copy.parent / "new")
    assert [p.name for p in copy.parent.glob(".*.partial")] == [".new.78.partial"]
