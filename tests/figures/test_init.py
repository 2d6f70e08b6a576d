"""The package of figures: it imports matplotlib whatever the environment says."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys

import pytest

CODE = """
import os, sys
from hornbook.figures.losses import lr_sweep
lr_sweep([0.1, 1.0], [3.0, 2.0]).png()
assert "matplotlib.pyplot" not in sys.modules
import matplotlib
print(os.environ["MPLBACKEND"], matplotlib.get_backend(auto_select=False))
"""


NOTEBOOK = "module://matplotlib_inline.backend_inline"
INSTALLED = importlib.util.find_spec("matplotlib_inline") is not None


@pytest.mark.parametrize(
    ("backend", "expected"),
    [(NOTEBOOK, NOTEBOOK if INSTALLED else None), ("nonsense", None), ("svg", "svg")],
)
def test_a_backend_that_is_missing_is_no_hindrance_and_one_that_is_there_is_set(
    backend: str, expected: str | None
) -> None:
    environment = {**os.environ, "MPLBACKEND": backend}
    done = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [backend, str(expected)]
