"""Files that are there whole or not at all, and that say so when they are damaged.

Writing: under another name, synced, renamed, the directory synced. Reading trusts nothing: plain
files only (no links, no pipes), sizes bounded before they are read, tensors checked against their
header and a checksum before memory is taken for them.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from hornbook.errors import HornbookError, RunError
from hornbook.machine import available_memory, size

if TYPE_CHECKING:
    from torch import Tensor

LARGEST_JSON = 1 << 24  # bytes of a JSON file, a line of a log or a header of tensors
EXPANDS = 32  # at most, in memory: lists of empty objects
CHUNK = 1 << 20  # bytes hashed at a time
DIGEST = "sha256"  # where the checksum stands in the metadata of a safetensors file

REMEDIES = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space: the quota is used up",
    errno.EFBIG: "allow larger files",
    errno.EACCES: "make its directory writable",
    errno.EPERM: "make its directory writable",
    errno.EROFS: "it lies on a disk that is read only; make it writable",
    errno.ENOENT: "its directory is gone; put it back",
    errno.ENOTDIR: "its directory is gone; put it back",
    errno.EIO: "the disk fails; copy the run to another",
}

DTYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U8": "uint8",
    "BOOL": "bool",
}


def user_path(text: str | Path, kind: type[HornbookError]) -> Path:
    """A path that a user, or a stranger's settings, gave: `~` resolved, there or not.

    Raises an error of this kind where no path can be so, or nothing can be known about it.
    """
    try:
        path = Path(text).expanduser()
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return path
    except RuntimeError:
        reason = "no such user"
    except UnicodeEncodeError:
        reason = "it holds half a character"
    except ValueError:
        reason = "it holds a null byte"
    except OSError as error:
        reason = error.strerror or str(error)
    else:
        return path
    raise kind(f"{text}: cannot be reached ({reason}), expected a path that can; give another")


@contextmanager
def _opened(path: Path, largest: int | None = None) -> Iterator[BinaryIO]:
    """A plain file to read. Raises RunError where it is none, or larger than it may be."""
    flags = sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"))
    try:
        with open(os.open(path, os.O_RDONLY | flags), "rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise RunError(f"{path}: is no plain file, expected one that hornbook wrote")
            if largest is not None and found.st_size > largest:
                raise RunError(
                    f"{path}: damaged: found {size(found.st_size)}, expected at most "
                    f"{size(largest)}"
                )
            yield file
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise RunError(
                f"{path}: is a link, expected a file; a run holds its own files (cp -L copies them)"
            ) from None
        raise RunError(f"{path}: cannot be read ({error.strerror or error})") from None


def read_json(path: Path) -> dict[str, Any]:
    """An object from a JSON file. Raises RunError where there is none."""
    with _opened(path, LARGEST_JSON) as file:
        data = _parsed(path, file.read())
    if not isinstance(data, dict):
        raise RunError(f"{path}: damaged: found {type(data).__name__}, expected an object")
    return data


def _parsed(path: Path, raw: bytes) -> Any:
    try:
        return json.loads(raw.decode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError) as error:
        raise RunError(f"{path}: damaged: {error}") from None


def read_lines(
    path: Path,
    check: Callable[[dict[str, Any]], None] | None = None,
    *,
    damage: list[str] | None = None,
) -> list[dict[str, Any]]:
    """The objects of a JSON-lines file, none where it is missing; `check` may refuse one.

    A last line that a crash cut off is left out. Raises RunError for any other damage, or, where
    `damage` is given, puts it there and ends with the line before.
    """
    records: list[dict[str, Any]] = []
    if not os.path.lexists(path):
        return records
    with _opened(path) as file:
        n_bytes, room = os.fstat(file.fileno()).st_size, available_memory()
        if room is not None and n_bytes > max(LARGEST_JSON, room // EXPANDS):
            raise RunError(
                f"{path}: found {size(n_bytes)}, which may need {size(n_bytes * EXPANDS)} of memory, "
                f"expected at most {size(room)}; close other programs, or move the file away"
            )
        while line := file.readline(LARGEST_JSON + 1):
            try:
                if (record := _record(path, line)) is None:
                    continue
                if check is not None:
                    check(record)
            except RunError as error:
                if damage is None:
                    raise
                damage.append(str(error))
                break
            records.append(record)
    return records


def _record(path: Path, line: bytes) -> dict[str, Any] | None:
    """The object of a line; None of an empty one, or one that a crash cut off."""
    if len(line) > LARGEST_JSON:
        raise RunError(f"{path}: damaged: found a line of more than {size(LARGEST_JSON)}")
    try:
        record = _parsed(path, line) if line.strip() else None
    except RunError:
        if line.endswith(b"\n"):
            raise
        return None
    if record is None or isinstance(record, dict):
        return record
    raise RunError(f"{path}: damaged: expected one object a line")


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


def append_line(path: Path, record: Mapping[str, Any]) -> None:
    """Adds a line to a JSON-lines file. Raises RunError where it cannot be written."""
    try:
        with path.open("ab") as file:
            file.write((dump(record) + "\n").encode())
    except OSError as error:
        raise not_written(path, error) from None


def write_bytes(path: Path, data: bytes) -> None:
    """Writes a file, whole or not at all. Raises RunError where it cannot be written."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.unlink(missing_ok=True)  # a stranger's link would be followed
        with partial.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        sync(path.parent)
    except OSError as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise not_written(path, error) from None


def not_written(path: Path, error: OSError) -> RunError:
    """The error for a file that cannot be written, with its remedy."""
    remedy = REMEDIES.get(error.errno or 0, "look at its disk and its directory")
    return RunError(f"{path}: cannot be written ({error.strerror or error}); {remedy}")


def remove(path: Path) -> None:
    """Removes a file, where there is one. Raises RunError where it cannot be removed."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise not_written(path, error) from None


def sync(path: Path) -> None:
    """Makes a file, or the renames in a directory, last through a power cut.

    Raises RunError where its disk cannot.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:  # Windows opens no directories
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        raise not_written(path, error) from None
    finally:
        os.close(descriptor)


def sweep(folder: Path) -> None:
    """Removes what a process that was killed while writing left behind."""
    for partial in folder.glob(".*.partial"):
        with suppress(OSError):
            partial.unlink()


@dataclass(frozen=True)
class Header:
    """What a safetensors file says it holds: tensors on the device `meta`, which take no memory."""

    metadata: dict[str, str]
    tensors: dict[str, Tensor]


def read_tensors(path: Path, check: Callable[[Header], None] | None = None) -> dict[str, Tensor]:
    """The tensors of a safetensors file.

    Its size, header and checksum are verified, and `check` may refuse names, shapes and dtypes,
    before memory is taken. They are read, not mapped: what happens to the file later does not
    reach them. Raises RunError where it is missing, damaged or refused.
    """
    import torch

    try:
        with _opened(path) as file:
            header = _header(path, file)
            if check is not None:
                check(header)
            needed, room = sum(t.nbytes for t in header.tensors.values()), available_memory()
            if room is not None and needed > room:
                raise RunError(f"needs {size(needed)} of memory, found {size(room)} available")
            tensors = {}
            for name, outline in header.tensors.items():
                tensors[name] = torch.empty(outline.shape, dtype=outline.dtype)
                if outline.nbytes and file.readinto(  # type: ignore[attr-defined]
                    tensors[name].reshape(-1).view(torch.uint8).numpy()
                ) != (outline.nbytes):
                    raise RunError(f"{path}: damaged: it was cut while it was read")
            return tensors
    except RunError as error:
        told = str(error)
        raise RunError(told if str(path) in told else f"{path}: {told}") from None
    except (ValueError, LookupError, TypeError, RuntimeError, AttributeError) as error:
        raise RunError(f"{path}: damaged: {error}") from None


def write_tensors(
    path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None
) -> None:
    """Writes tensors as safetensors with a checksum, whole or not at all."""
    from safetensors.torch import save

    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    empty = "0" * 64
    raw = save(plain, {**(metadata or {}), DIGEST: empty})
    end = 8 + int.from_bytes(raw[:8], "little")
    digest = _start_digest(json.loads(raw[8:end]))
    digest.update(memoryview(raw)[end:])
    head = raw[:end].replace(
        f'"{DIGEST}":"{empty}"'.encode(), f'"{DIGEST}":"{digest.hexdigest()}"'.encode()
    )
    write_bytes(path, head + raw[end:])


def _header(path: Path, file: BinaryIO) -> Header:
    """The header of a safetensors file, after its checksum was found to be right; `file` then stands
    at the first tensor. A file without any metadata is of format 1, which had no checksum."""
    import torch

    n_bytes = os.fstat(file.fileno()).st_size
    length = int.from_bytes(file.read(8), "little")
    if n_bytes < 8 or length > min(n_bytes - 8, LARGEST_JSON):
        raise RunError(f"{path}: damaged: cut off, or no file of tensors")
    header = _parsed(path, file.read(length))
    if not isinstance(header, dict):
        raise RunError(f"{path}: damaged: its header is no object")
    if "__metadata__" in header:
        digest = _start_digest(header)
        while chunk := file.read(CHUNK):
            digest.update(chunk)
        if digest.hexdigest() != header["__metadata__"].get(DIGEST):
            raise RunError(f"{path}: damaged: its checksum is not that of what it holds")
    file.seek(8 + length)
    metadata = header.pop("__metadata__", {})
    tensors, end = {}, 0
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        dtype = getattr(torch, DTYPES[entry["dtype"]])
        tensors[name] = torch.empty(entry["shape"], dtype=dtype, device="meta")
        if entry["data_offsets"] != [end, end + tensors[name].nbytes]:
            raise RunError(f"{path}: damaged: {name} does not lie where its shape says")
        end += tensors[name].nbytes
    if end != n_bytes - 8 - length:
        raise RunError(f"{path}: damaged: found {size(n_bytes)}, expected {size(end + 8 + length)}")
    return Header(metadata, tensors)


def _start_digest(header: Mapping[str, Any]) -> hashlib._Hash:
    """The checksum over a header without the checksum; the data follow."""
    metadata = {k: v for k, v in header["__metadata__"].items() if k != DIGEST}
    plain = {**header, "__metadata__": metadata}
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode())
