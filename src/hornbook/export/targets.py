"""`export`: from a run to a target, checked where the other program is installed."""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from hornbook.errors import ConfigError, did_you_mean
from hornbook.export.base import Check, Export, Written
from hornbook.files import not_written, user_path
from hornbook.runs.directory import StoredRun
from hornbook.stages import stage

TARGETS = {
    "hf": "huggingface",
    "gguf": "gguf",
    "onnx": "onnx",
    "html": "html",
    "numpy": "numpy",
}


def export(
    run: StoredRun,
    to: str,
    out: Path | None = None,
    *,
    dtype: str | None = None,
    verify: bool = True,
    overwrite: bool = False,
) -> Export:
    """Writes a run for another program.

    to: a name in TARGETS. out: the file or directory; by default the run's name beside the run.
    dtype: of the weights; the target's first by default. verify: compares with the other program.
    overwrite: replaces an earlier export. Raises ConfigError where the model, the dtype or the place
    does not go with the target.
    """
    if to not in TARGETS:
        raise ConfigError(f"to: found {to!r}, no such target{did_you_mean(to, TARGETS)}")
    target = importlib.import_module(f"hornbook.export.{TARGETS[to]}")
    chosen = dtype or target.DTYPES[0]
    if chosen not in target.DTYPES:
        raise ConfigError(f"dtype: found {chosen!r}, expected {', '.join(target.DTYPES)} for {to}")
    where = _place(run, target, out, to, overwrite=overwrite)
    with stage(f"writing {where}"), _replacing(where):
        written: Written = target.write(run, where, chosen)
    if not verify:
        return Export(to, written, unchecked="not checked, as requested")
    if target.PROGRAM is not None and importlib.util.find_spec(target.PROGRAM) is None:
        reason = f"not checked: {target.PROGRAM} is not installed (pip install '{target.INSTALL}')"
        return Export(to, written, unchecked=reason)
    with stage(f"comparing with {target.PROGRAM or 'what was written'}"):
        checks: list[Check] = target.check(run, written)
    return Export(
        to, written, tuple(checks), "" if checks else f"not checked: needs {target.INSTALL}"
    )


def _place(
    run: StoredRun, target: ModuleType, out: Path | None, to: str, *, overwrite: bool
) -> Path:
    """Where to write. Raises ConfigError where something is there that is not to be replaced."""
    ending = target.SUFFIX or f"-{to}"
    default = run.path.with_name(f"{run.path.resolve().name}{ending}")
    where = default if out is None else user_path(Path(out), ConfigError)
    if run.path.resolve().is_relative_to(where.resolve()):
        raise ConfigError(f"out: {where} holds the run {run.path} itself; give another place")
    beside = target.beside(where) if hasattr(target, "beside") else ()
    for path in (where, *beside):
        if os.path.lexists(path) and not overwrite:
            raise ConfigError(
                f"out: {path} is there already; give another place, or --overwrite to replace it"
            )
    try:
        where.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise not_written(where, error) from None
    return where


@contextmanager
def _replacing(where: Path) -> Iterator[None]:
    """What is there is moved aside, and removed once the new is written, or put back if it fails.

    Raises ConfigError for a directory that holds anything else than what is written: it is no export.
    """
    aside: Path | None = None
    if os.path.lexists(where):
        aside = where.rename(where.with_name(f".{where.name}.{os.getpid()}.replaced"))
    try:
        yield
        if aside is not None and aside.is_dir() and not aside.is_symlink():
            others = {p.name for p in aside.iterdir()} - {p.name for p in where.iterdir()}
            if others:
                raise ConfigError(
                    f"out: {where} holds {sorted(others)[0]}, which an export does not write; give "
                    "another place"
                )
    except BaseException as error:
        _remove(where)
        if aside is not None:
            aside.rename(where)
        if isinstance(error, OSError):
            raise not_written(where, error) from None
        raise
    if aside is not None:
        _remove(aside)


def _remove(path: Path) -> None:
    """Removes a file, a link or a directory, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
