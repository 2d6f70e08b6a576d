"""Atomic writes, and reads that trust nothing: JSON, JSON lines and safetensors.

A write goes to a temporary file, which is synced and renamed; then the directory is synced. A read
accepts regular files only (no links, no pipes), limits the size first, and compares tensors with
their header and checksum before it allocates memory for them.
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
from io import BufferedRandom, BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hornbook.errors import HornbookError, RunError
from hornbook.machine import available_memory, format_bytes

if TYPE_CHECKING:
    from torch import Tensor

MAX_JSON_BYTES = 1 << 24  # of a JSON file, a line of a log, or a safetensors header
FOREIGN_JSON_BYTES = 1 << 26  # of one of another program: a tokenizer of 150,000 ids
MEMORY_PER_JSON_BYTE = 32  # worst case of parsed JSON: a list of empty objects
HASH_CHUNK_BYTES = 1 << 20
CHECKSUM = "sha256"  # its key in the metadata of a safetensors file

REMEDIES = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space: the quota is used up",
    errno.EFBIG: "allow larger files",
    errno.EACCES: "make its directory writable",
    errno.EPERM: "make its directory writable",
    errno.EROFS: "its disk is mounted read-only; make it writable",
    errno.ENOENT: "its directory is missing; put it back",
    errno.ENOTDIR: "its directory is missing; put it back",
    errno.EIO: "the disk is failing; copy the run to another one",
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
DTYPE_NAMES = {of_torch: name for name, of_torch in DTYPES.items()}


def user_path(text: str | Path, kind: type[HornbookError]) -> Path:
    """The path that a user or a run's settings name, with `~` expanded; it may not exist.

    Raises an error of this kind where it cannot be a path, or the system refuses to look it up.
    """
    try:
        path = Path(text).expanduser()
        path.stat()
        return path
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
    raise kind(f"{text}: cannot be reached ({reason}), expected a path that can; give another")


@contextmanager
def _open_regular(path: Path, most: int | None = None, *, links: bool = False) -> Iterator[Any]:
    """Opens a regular file, or with `links` one that a link leads to, as a BufferedReader. Raises
    RunError where it is something else, or larger than `most` bytes."""
    names = ("O_NONBLOCK", "O_BINARY", "O_NOFOLLOW")[: 2 if links else 3]
    flags = sum(getattr(os, name, 0) for name in names)
    try:
        with open(os.open(path, os.O_RDONLY | flags), "rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise RunError(f"{path}: is not a regular file, expected one")
            if most is not None and found.st_size > most:
                sizes = (
                    f"found {format_bytes(found.st_size)}, expected at most {format_bytes(most)}"
                )
                raise RunError(f"{path}: damaged: {sizes}")
            yield file
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise RunError(
                f"{path}: is a link, expected a file; a run holds its own files (cp -L copies them)"
            ) from None
        raise RunError(f"{path}: cannot be read ({error.strerror or error})") from None


def read_json(path: Path, *, foreign: bool = False) -> dict[str, Any]:
    """The object in a JSON file. foreign: of another program, where it may be a link and larger.
    Raises RunError where the file is missing, damaged or too large."""
    most = FOREIGN_JSON_BYTES if foreign else MAX_JSON_BYTES
    with _open_regular(path, most, links=foreign) as file:
        return _parse(path, file.read())


def _parse(path: Path, raw: bytes, expected: str = "an object") -> dict[str, Any]:
    try:
        data = json.loads(raw.decode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError) as error:
        raise RunError(f"{path}: damaged: {error}") from None
    if not isinstance(data, dict):
        raise RunError(f"{path}: damaged: found {type(data).__name__}, expected {expected}")
    return data


def read_lines(
    path: Path,
    check: Callable[[dict[str, Any]], None] = lambda _: None,
    *,
    damage: list[str] | None = None,
) -> list[dict[str, Any]]:
    """The objects of a JSON-lines file, or none where the file is missing.

    `check` may raise RunError for an object. A last line without its end, which a crash leaves, is
    skipped. For any other damage it raises RunError, or, with `damage` given, appends the message
    to that list and returns the objects before it.
    """
    records: list[dict[str, Any]] = []
    if not os.path.lexists(path):
        return records
    with _open_regular(path) as file:
        n_bytes, available = os.fstat(file.fileno()).st_size, available_memory()
        needed = n_bytes * MEMORY_PER_JSON_BYTE
        if available is not None and n_bytes > MAX_JSON_BYTES and needed > available:
            raise RunError(
                f"{path}: found {format_bytes(n_bytes)}, which may need {format_bytes(needed)} of "
                f"memory, expected at most {format_bytes(available)}; close other programs, or move "
                "the file away"
            )
        while line := file.readline(MAX_JSON_BYTES + 1):
            try:
                if len(line) > MAX_JSON_BYTES:
                    raise RunError(
                        f"{path}: damaged: found a line of more than {format_bytes(MAX_JSON_BYTES)}"
                    )
                if not line.strip():
                    continue
                try:
                    record = _parse(path, line, "one object a line")
                except RunError:
                    if line.endswith(b"\n"):
                        raise
                    break  # a crash cut it off
                check(record)
                records.append(record)
            except RunError as error:
                if damage is None:
                    raise
                damage.append(str(error))
                break
    return records


def dump(data: Any, **options: Any) -> str:
    """JSON text. NaN and infinities, which JSON does not have, become null."""
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
    """Writes an object as JSON, atomically."""
    write_bytes(path, (dump(data, indent=2) + "\n").encode("utf-8", "surrogatepass"))


def write_lines(path: Path, records: list[dict[str, Any]]) -> None:
    """Writes a JSON-lines file, atomically."""
    write_bytes(path, "".join(dump(record) + "\n" for record in records).encode())


def append_line(path: Path, record: Mapping[str, Any]) -> None:
    """Appends a line to a JSON-lines file. Raises RunError where it cannot be written."""
    try:
        with path.open("ab") as file:
            file.write((dump(record) + "\n").encode())
    except OSError as error:
        raise not_written(path, error) from None


def write_bytes(path: Path, data: bytes) -> None:
    """Writes a file atomically: all of it, or nothing. Raises RunError where it cannot be written."""
    with _written_whole(path) as file:
        file.write(data)


@contextmanager
def _written_whole(path: Path) -> Iterator[BufferedRandom]:
    """A file to write that takes the place of `path` once all of it is on the disk.

    Nothing is left of it where it cannot be written. Raises RunError then.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.unlink(missing_ok=True)  # never write through a link that was put there
        with partial.open("x+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        sync(path.parent)
    except OSError as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise not_written(path, error) from None


def not_written(path: Path, error: OSError) -> RunError:
    """The error for a file that cannot be written, with what to do about it."""
    remedy = REMEDIES.get(error.errno or 0, "check its disk and its directory")
    return RunError(f"{path}: cannot be written ({error.strerror or error}); {remedy}")


def remove(path: Path) -> None:
    """Removes a file if it exists. Raises RunError where it cannot be removed."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise not_written(path, error) from None


def sync(path: Path) -> None:
    """Makes a file, or the renames in a directory, survive a power cut. Raises RunError."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:  # Windows cannot open a directory
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        raise not_written(path, error) from None
    finally:
        os.close(descriptor)


def remove_partial_files(folder: Path) -> None:
    """Removes the temporary files of a process that was killed while it wrote."""
    for partial in folder.glob(".*.partial"):
        with suppress(OSError):
            partial.unlink()


@dataclass(frozen=True)
class Header:
    """The header of a safetensors file; its tensors are on the device `meta` and take no memory."""

    metadata: dict[str, str]
    tensors: dict[str, Tensor]


def read_tensors(
    path: Path, check: Callable[[Header], None] = lambda _: None, *, foreign: bool = False
) -> dict[str, Tensor]:
    """The tensors of a safetensors file; a foreign one needs no checksum, and may be a link.

    Size, header and checksum are verified, and `check` may raise RunError for names, shapes and
    dtypes, before memory is allocated. Tensors are read, not memory-mapped, so that later changes of
    the file do not reach them. Raises RunError where the file is missing, damaged or refused.
    """
    try:
        with _open_regular(path, links=foreign) as file:
            header = _read_header(path, file, foreign=foreign)
            check(header)
            needed, available = sum(t.nbytes for t in header.tensors.values()), available_memory()
            if available is not None and needed > available:
                sizes = f"{format_bytes(needed)} of memory, found {format_bytes(available)}"
                raise RunError(f"needs {sizes} available")
            return {name: _read_tensor(file, meta) for name, meta in header.tensors.items()}
    except RunError as error:
        message = str(error)
        raise RunError(message if str(path) in message else f"{path}: {message}") from None
    except (ValueError, LookupError, TypeError, RuntimeError, AttributeError) as error:
        raise RunError(f"{path}: damaged: {error}") from None


def _read_tensor(file: BufferedReader, meta: Tensor) -> Tensor:
    import torch

    tensor = torch.empty(meta.shape, dtype=meta.dtype, device="cpu")  # empty_like imports sympy
    data = tensor.reshape(-1).view(torch.uint8).numpy().data
    if meta.nbytes and file.readinto(data) != meta.nbytes:
        raise RunError("damaged: it was truncated while it was read")
    return tensor


def write_tensors(
    path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None
) -> None:
    """Writes tensors as safetensors with a checksum, atomically.

    One after the other and from where they are: of a tensor on the CPU, contiguous, nothing is
    copied; of others one at a time. The header is written first, and its checksum last.
    """
    # larger types first, as safetensors does it, so that each tensor is aligned
    order = sorted(tensors, key=lambda name: (-tensors[name].itemsize, name))
    header: dict[str, Any] = {"__metadata__": {**(metadata or {}), CHECKSUM: ""}}
    end = 0
    for name in order:
        start, end = end, end + tensors[name].nbytes
        dtype = DTYPE_NAMES[str(tensors[name].dtype).removeprefix("torch.")]
        shape = list(tensors[name].shape)
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}
    digest = _header_digest(header)
    with _written_whole(path) as file:
        file.write(_encoded(header, "0" * 2 * digest.digest_size))
        for name in order:
            data = _bytes_of(tensors[name])
            digest.update(data)
            file.write(data)
        file.seek(0)
        file.write(_encoded(header, digest.hexdigest()))


def _encoded(header: dict[str, Any], checksum: str) -> bytes:
    """A header as it is in the file, padded to a multiple of 8 bytes, after its length."""
    header["__metadata__"][CHECKSUM] = checksum
    raw = json.dumps(header, separators=(",", ":")).encode()
    raw += b" " * (-len(raw) % 8)
    return len(raw).to_bytes(8, "little") + raw


def _bytes_of(tensor: Tensor) -> memoryview:
    """The bytes of a tensor, without a copy where it is contiguous and on the CPU."""
    import torch

    flat = tensor.detach().cpu().contiguous().reshape(-1)
    if flat.stride(0) != 1:  # a single value may have any
        flat = flat.clone(memory_format=torch.contiguous_format)
    return flat.view(torch.uint8).numpy().data


def _read_header(path: Path, file: BufferedReader, *, foreign: bool) -> Header:
    """The header of a safetensors file whose checksum is right; `file` is then at the first tensor.

    One without metadata is of format 1, which had no checksum. foreign: it may have none.
    """
    import torch

    n_bytes = os.fstat(file.fileno()).st_size
    length = int.from_bytes(file.read(8), "little")
    if n_bytes < 8 or length > min(n_bytes - 8, MAX_JSON_BYTES):
        raise RunError("damaged: cut off, or not a safetensors file")
    header = _parse(path, file.read(length))
    if "__metadata__" in header and not (foreign and CHECKSUM not in header["__metadata__"]):
        digest = _header_digest(header)
        while chunk := file.read(HASH_CHUNK_BYTES):
            digest.update(chunk)
        if digest.hexdigest() != header["__metadata__"].get(CHECKSUM):
            raise RunError("damaged: its checksum does not match its contents")
    file.seek(8 + length)
    metadata = header.pop("__metadata__", {})
    tensors, end = {}, 0
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        dtype = getattr(torch, DTYPES[entry["dtype"]])
        tensors[name] = torch.empty(entry["shape"], dtype=dtype, device="meta")
        start, end = end, end + tensors[name].nbytes
        if (found := entry["data_offsets"]) != (right := [start, end]):
            raise RunError(f"damaged: {name}: found offsets {found}, expected {right} by its shape")
    expected = 8 + length + end
    if n_bytes != expected:
        raise RunError(f"damaged: found {format_bytes(n_bytes)}, expected {format_bytes(expected)}")
    return Header(metadata, tensors)


def _header_digest(header: Mapping[str, Any]) -> hashlib._Hash:
    """The checksum over a header without its own checksum; the data are added to it."""
    metadata = {k: v for k, v in header["__metadata__"].items() if k != CHECKSUM}
    unsigned = {**header, "__metadata__": metadata}
    return hashlib.sha256(json.dumps(unsigned, sort_keys=True).encode())
