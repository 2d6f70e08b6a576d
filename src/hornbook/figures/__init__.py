"""Figures of a run, one file a family; the only package that imports matplotlib."""

from __future__ import annotations

import os
import sys
from contextlib import suppress


def _import_matplotlib() -> None:
    """Imports matplotlib even where MPLBACKEND names a backend that is not installed here.

    A notebook sets the variable to its own backend for every command it starts, and the import of
    matplotlib fails where that is missing. hornbook writes figures as files, which needs no backend.
    One that is installed is set, as matplotlib does.
    """
    if "matplotlib" in sys.modules:
        return
    name = os.environ.pop("MPLBACKEND", None)
    try:
        import matplotlib
    finally:
        if name is not None:
            os.environ["MPLBACKEND"] = name
    if name:
        with suppress(ValueError):
            matplotlib.rcParams["backend"] = name


_import_matplotlib()
