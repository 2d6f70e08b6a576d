"""The version, and `python -m hornbook`."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

import hornbook
from hornbook.version import __version__


def test_there_is_one_version() -> None:
    assert hornbook.__version__ == __version__ == version("hornbook")


def test_the_module_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "hornbook", "--version"], capture_output=True, text=True, check=True
    )
    assert __version__ in done.stdout
