"""Opens a notebook with what is installed: JupyterLab, Jupyter Notebook or VS Code."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

MODULES = {"jupyterlab": "JupyterLab", "notebook": "Jupyter Notebook"}  # of this environment
PROGRAMS = {"code": "VS Code", "codium": "VSCodium"}


def opener() -> tuple[str, list[str]] | None:
    """The name of what opens notebooks here and its command, without the file; None without any.

    Jupyter counts where it is in hornbook's own environment: one elsewhere cannot import hornbook.
    """
    for module, name in MODULES.items():
        if importlib.util.find_spec(module) is not None:
            return name, [sys.executable, "-m", module]
    for program, name in PROGRAMS.items():
        if (found := shutil.which(program)) is not None:
            return name, [found]
    return None


def open_notebook(
    command: list[str],
    path: Path,
    start: Callable[[list[str]], subprocess.Popen[bytes]] = subprocess.Popen,
) -> int:
    """Opens a notebook and waits for the program to end. Returns its exit code.

    Ctrl-C is the program's: Jupyter asks what it should do.
    """
    process = start([*command, str(path)])
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue
