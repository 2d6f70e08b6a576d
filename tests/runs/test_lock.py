"""One process trains in a run directory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hornbook.errors import RunError
from hornbook.files import read_json
from hornbook.runs.lock import Lock

HOLD = (
    "import sys\n"
    "from pathlib import Path\n"
    "from hornbook.runs.lock import Lock\n"
    "with Lock(Path(sys.argv[1])):\n"
    "    print('held', flush=True)\n"
    "    sys.stdin.read()\n"
)


def test_a_second_process_is_refused_and_a_killed_one_is_named(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as first:  # fmt: skip
        assert first.stdout is not None
        assert first.stdout.readline() == "held\n"
        with pytest.raises(RunError, match=rf"process {first.pid} on .*since 20.* is training it"):
            Lock(tmp_path).__enter__()
        first.kill()
    with Lock(tmp_path) as lock:
        assert f"process {first.pid} on" in lock.stale
        assert "was killed" in lock.stale
    with Lock(tmp_path) as lock:
        assert not lock.stale
    assert not list(tmp_path.iterdir())


def test_a_second_lock_of_the_same_process_is_refused(tmp_path: Path) -> None:
    with Lock(tmp_path):
        with pytest.raises(RunError, match=f"process {os.getpid()} on"):
            Lock(tmp_path).__enter__()
        assert read_json(tmp_path / "lock.json")["pid"] == os.getpid()


def test_a_lock_of_another_boot_is_stale(tmp_path: Path) -> None:
    holder = '{"pid": 1, "host": "elsewhere", "boot": "x", "since": "then"}'
    (tmp_path / "lock.json").write_text(holder)
    with Lock(tmp_path) as lock:
        expected = "process 1 on elsewhere (since then) was killed while it trained this run"
        assert lock.stale == expected


@pytest.mark.parametrize("name", ["lock", "lock.json"])
def test_a_link_of_a_stranger_is_not_followed(name: str, tmp_path: Path) -> None:
    run, target = tmp_path / "run", tmp_path / "precious"
    run.mkdir()
    target.write_text("keep")
    (run / name).symlink_to(target)
    try:
        with Lock(run):
            pass
    except RunError:
        assert name == "lock"
    assert target.read_text() == "keep"


def test_a_directory_that_is_renamed_is_followed_and_stays_locked(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    with Lock(here) as lock:
        assert not lock.follow()
        here.rename(there)
        here.mkdir()  # another's
        assert lock.follow()
        assert lock.path == lock.followed() == there
        with pytest.raises(RunError, match="is training it"):
            Lock(there).__enter__()
        with Lock(here):
            pass
    assert not list(there.iterdir())
    with Lock(there) as lock:
        assert not lock.stale


def test_a_directory_that_is_removed_says_so(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    with Lock(run) as lock:
        (run / "lock").unlink()
        (run / "lock.json").unlink()
        run.rmdir()
        with pytest.raises(RunError, match="was removed or moved to another disk"):
            lock.followed()


def test_a_directory_that_is_missing_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="cannot be written"):
        Lock(tmp_path / "none").__enter__()
    assert not list(tmp_path.iterdir())
