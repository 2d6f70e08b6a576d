"""What opens a notebook, and that Ctrl-C is left to it."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from hornbook.lessons import opening


def test_what_is_installed_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    modules, programs = {"notebook"}, {"code"}
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name if name in modules else None)
    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}" if name in programs else None)
    assert opening.opener() == ("Jupyter Notebook", [sys.executable, "-m", "notebook"])
    modules.add("jupyterlab")
    assert opening.opener() == ("JupyterLab", [sys.executable, "-m", "jupyterlab"])
    modules.clear()
    assert opening.opener() == ("VS Code", ["/bin/code"])
    programs.clear()
    assert opening.opener() is None


def test_ctrl_c_is_the_programs(tmp_path: Path) -> None:
    waits: list[Any] = [KeyboardInterrupt, KeyboardInterrupt, 3]

    class Program:
        def __init__(self, command: list[str]) -> None:
            assert command == ["jupyter", str(tmp_path)]

        def wait(self) -> int:
            found = waits.pop(0)
            if found is KeyboardInterrupt:
                raise KeyboardInterrupt
            return int(found)

    start: Any = Program
    assert opening.open_notebook(["jupyter"], tmp_path, start) == 3
