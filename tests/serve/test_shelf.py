"""The runs that are served: found, new ones noticed, newer weights read."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from hornbook.api import Run
from hornbook.errors import RunError

pytest.importorskip("fastapi", reason="needs the extra serve")


def test_a_directory_serves_what_it_holds(
    names_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hornbook.serve import shelf as module
    from hornbook.serve.shelf import Shelf, UnknownModelError

    monkeypatch.setattr(module, "FRESH", -1.0)
    shelf = Shelf([tmp_path], most=1)
    assert shelf.names == []
    shutil.copytree(names_run.path, tmp_path / "one")
    shutil.copytree(names_run.path, tmp_path / "sweep" / "seed-1")
    shelf.refresh()
    assert shelf.names == ["one", "sweep/seed-1"]
    with pytest.raises(UnknownModelError, match="did you mean 'one'"):
        shelf.load("ones")
    for name in ("../one", "one/", "/one", "sweep", ""):
        with pytest.raises(UnknownModelError):
            shelf.load(name)
    first = shelf.load("one")
    assert shelf.loaded("one") is first
    assert shelf.load("sweep/seed-1") is not first
    assert shelf.loaded("one") is None  # one at a time is kept
    os.utime(tmp_path / "one" / "model.safetensors", (1, 1))
    again = shelf.load("one")
    assert again is not first
    shelf.refresh()
    assert shelf.load("one") is not again
    (tmp_path / "one" / "model.safetensors").unlink()
    assert shelf.refresh().runs.keys() == {"one", "sweep/seed-1"}
    assert shelf.names == ["sweep/seed-1"]
    shutil.rmtree(tmp_path / "sweep")
    shelf.refresh()
    assert shelf.names == []


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    from hornbook.serve.shelf import Shelf

    with pytest.raises(RunError, match="expected a run directory"):
        Shelf([tmp_path / "nothing"])
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(RunError):
        Shelf([tmp_path])
