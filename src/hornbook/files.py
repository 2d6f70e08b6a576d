"""Files that are there whole or not at all: written under another name, synced, renamed."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from hornbook.errors import RunError


def read_json(path: Path) -> dict[str, Any]:
    """An object from a JSON file. Raises RunError where there is none."""
    try:
        data = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise RunError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        raise RunError(f"{path}: damaged: {error}") from None
    if not isinstance(data, dict):
        raise RunError(f"{path}: damaged: found {type(data).__name__}, expected an object")
    return data


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The objects of a JSON-lines file, none where it is missing.

    A last line that a crash cut off is left out. Raises RunError for any other damage.
    """
    if not path.exists():
        return []
    *lines, rest = path.read_bytes().split(b"\n")
    try:
        records = [json.loads(line) for line in lines if line]
    except (ValueError, RecursionError) as error:
        raise RunError(f"{path}: damaged: {error}") from None
    with suppress(ValueError, RecursionError):
        records += [json.loads(rest)] if rest else []
    if not all(isinstance(record, dict) for record in records):
        raise RunError(f"{path}: damaged: expected one object a line")
    return records


def dump(data: Any, **options: Any) -> str:
    """JSON text; NaN and infinities, which JSON does not have, are written as null."""
    try:
        return json.dumps(data, ensure_ascii=False, allow_nan=False, **options)
    except ValueError:
        return json.dumps(_finite(data), ensure_ascii=False, allow_nan=False, **options)


def _finite(data: Any) -> Any:
    if isinstance(data, Mapping):
        return {key: _finite(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_finite(value) for value in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Writes an object as JSON, whole or not at all."""
    write_bytes(path, (dump(data, indent=2) + "\n").encode("utf-8", "surrogatepass"))


def write_lines(path: Path, records: list[dict[str, Any]]) -> None:
    """Writes a JSON-lines file, whole or not at all."""
    write_bytes(path, "".join(dump(record) + "\n" for record in records).encode())


def write_bytes(path: Path, data: bytes) -> None:
    """Writes a file, whole or not at all. Raises RunError where it cannot be written."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        _sync_directory(path.parent)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise RunError(f"{path}: cannot be written ({error.strerror})") from None


def _sync_directory(path: Path) -> None:
    """Makes a rename last through a power cut, where the system can do that."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:  # Windows opens no directories
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
