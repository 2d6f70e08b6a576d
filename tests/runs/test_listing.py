"""The runs below a directory; what `remove_run` refuses."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hornbook.api import Run
from hornbook.errors import RunError
from hornbook.runs.listing import CONTENTS, check_removable, list_runs, read_summary, remove_run
from hornbook.runs.lock import Lock, is_held


@pytest.fixture
def copy(names_run: Run, tmp_path: Path) -> Path:
    return shutil.copytree(names_run.path, tmp_path / "runs" / "names")


def test_a_summary_has_the_figures_of_the_report(names_run: Run) -> None:
    found = read_summary(names_run.path)
    assert (found.model, found.corpus, found.finished) == ("gpt", "names", True)
    assert found.nats == names_run.report["validation"]["nats"]
    assert found.steps == found.total_steps == 30
    assert found.n_parameters == names_run.model.n_parameters
    assert not found.held


def test_a_run_that_is_trained_is_not_removed(copy: Path) -> None:
    with Lock(copy):
        assert is_held(copy)
        assert read_summary(copy).held
        with pytest.raises(RunError, match="is training it"):
            remove_run(copy)
    assert not is_held(copy)
    assert (copy / "model.safetensors").exists()
    remove_run(copy)
    assert not list(copy.parent.iterdir())


def test_a_run_with_files_of_somebody_else_is_not_removed(copy: Path) -> None:
    (copy / "thoughts.txt").write_text("mine")
    with pytest.raises(RunError, match=r"found thoughts.txt, which hornbook did not write"):
        remove_run(copy)
    assert (copy / "thoughts.txt").exists()
    assert (copy / "config.json").exists()


def test_a_link_to_a_run_is_not_removed(copy: Path) -> None:
    link = copy.parent / "link"
    link.symlink_to(copy)
    with pytest.raises(RunError, match="is a link"):
        remove_run(link)
    assert (copy / "config.json").exists()


def test_a_run_holds_nothing_that_its_removal_would_refuse(names_run: Run, stream_run: Run) -> None:
    for run in (names_run, stream_run):
        assert {path.name for path in run.path.iterdir()} <= CONTENTS
        check_removable(run.path)


def test_a_config_of_something_else_is_left_out_with_a_reason(copy: Path) -> None:
    other = copy.parent / "other"
    other.mkdir()
    (other / "config.json").write_text('{"model_type": "llama"}')
    found, left_out = list_runs(copy.parent)
    assert [run.name for run in found] == ["names"]
    assert len(left_out) == 1
    assert str(other) in left_out[0]


def test_listing_imports_no_torch() -> None:
    code = "import sys, hornbook.cli.runs; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_runs_of_a_sweep_are_listed(names_run: Run, tmp_path: Path) -> None:
    """A directory for each setting, and in it one for each seed."""
    for name in ("lr=1/seed-1", "lr=1/seed-2", "lr=2/seed-1"):
        shutil.copytree(names_run.path, tmp_path / "runs" / "sweep" / name)
    shutil.copytree(names_run.path, tmp_path / "runs" / "single")
    found, others = list_runs(tmp_path / "runs")
    names = ["single", "sweep/lr=1/seed-1", "sweep/lr=1/seed-2", "sweep/lr=2/seed-1"]
    assert sorted(Path(run.name).as_posix() for run in found) == names
    assert others == []
