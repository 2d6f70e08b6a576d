"""A state that several ranks save: each writes its rows of every tensor to a file of its own.

A file says which rows of which tensors it has. On loading, the rows of each tensor are counted over all
files, so any number of ranks can read what any number has written, and nothing that is missing goes
unnoticed. A file without that, of one process, has all rows of everything.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor
from torch.distributed.tensor import DTensor

from hornbook.errors import RunError
from hornbook.files import Header, read_tensors, write_tensors

KEY = "shard"  # in the metadata of a file
FILE = re.compile(r"(state-[0-9]{8,18}(?:-[0-9]+)?)\.([0-9]{1,6})-of-([0-9]{1,6})\.safetensors")

Like = Callable[[str], Tensor | None]


class Shard(BaseModel):
    """What a file is of a state that several ranks saved.

    index: its place, from 0, among `count` files. save: the same in all files of one save, and in no
    other. rows: of each tensor with rows of which this has some, the first of them and the whole shape.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)
    index: int = Field(ge=0)
    count: int = Field(gt=0)
    save: str
    rows: dict[str, list[int]] = {}


def shard_files(file: Path) -> list[Path]:
    """All files of a state, of which `file` is the first, or the only one."""
    match = FILE.fullmatch(file.name)
    count = int(match[3]) if match else 0
    return [shard_file(file, index, count) for index in range(count)] or [file]


def shard_file(file: Path, index: int, count: int) -> Path:
    """The file of a rank, of the state that one rank would save as `file`.

    >>> shard_file(Path("state-00000010-0.safetensors"), 1, 4).name
    'state-00000010-0.1-of-4.safetensors'
    """
    match = FILE.fullmatch(file.name)
    stem = match[1] if match else file.stem
    return file.with_name(f"{stem}.{index}-of-{count}.safetensors")


def write_rows(
    file: Path, tensors: Mapping[str, Tensor], shard: Shard, metadata: Mapping[str, str]
) -> None:
    """Writes the rows of this rank, atomically; tensors that are not sharded are written by the first.

    Raises RunError where the file cannot be written.
    """
    own: dict[str, Tensor] = {}
    rows: dict[str, list[int]] = {}
    for name, tensor in tensors.items():
        if not isinstance(tensor, DTensor):
            if shard.index == 0:
                own[name] = tensor
        elif (part := tensor.to_local()).numel():
            own[name], rows[name] = part, [first_row(tensor), *tensor.shape]
    facts = shard.model_copy(update={"rows": rows}).model_dump_json()
    write_tensors(file, own, {**metadata, KEY: facts})


def first_row(tensor: DTensor) -> int:
    """The first of the rows of a tensor that this rank has: they are in pieces of equal size, the last
    ones shorter or empty."""
    mesh = tensor.device_mesh
    shards = mesh.size(mesh.ndim - 1)
    return int(mesh.get_local_rank(mesh.ndim - 1)) * -(-tensor.shape[0] // shards)


@dataclass(frozen=True)
class Rows:
    """What a rank reads of a tensor: `tensor` holds its rows from `first` on.

    found: how many rows of the whole were in the files so far.
    """

    tensor: Tensor
    first: int
    shape: tuple[int, ...]
    found: int = 0

    def plus(self, part: Tensor, start: int) -> Rows:
        """With the rows of a file, of which it takes its own. Raises RunError for a gap."""
        if start != self.found or part.shape[1:] != self.shape[1:]:
            raise RunError(f"found rows from {start}, expected rows from {self.found}")
        end = start + len(part)
        low = max(start, self.first)
        high = min(end, self.first + len(self.tensor))
        if low < high:
            self.tensor[low - self.first : high - self.first] = part[low - start : high - start]
        return Rows(self.tensor, self.first, self.shape, end)


def read_rows(
    files: Sequence[Path], like: Like, check: Callable[[Header], None] = lambda _: None
) -> dict[str, Tensor]:
    """The tensors of a state, of sharded ones the rows of this rank, one file in memory at a time.

    files: all of the state, in order. like: the tensor that one of this name is to be laid out as, None
    where there is none: it is read as it is. check: is called with the header of the first file.
    Raises RunError where a file is missing, damaged or of another save, or where rows are missing.
    """
    parts: dict[str, Rows] = {}
    whole: dict[str, Tensor] = {}
    save: str | None = None
    for index, file in enumerate(files):
        facts = Shard(index=0, count=1, save="")

        def check_header(header: Header, file: Path = file, index: int = index) -> None:
            nonlocal facts, save
            if index == 0:
                check(header)
            facts = _facts(header, index, len(files))
            save = facts.save if save is None else save
            if facts.save != save:
                raise RunError(f"is of another save than {files[0].name}")
            for name, tensor in header.tensors.items():
                _check_layout(name, tensor, facts, like(name))

        tensors = read_tensors(file, check_header)
        for name, tensor in tensors.items():
            target = like(name)
            if target is None or not (isinstance(target, DTensor) or name in facts.rows):
                whole[name] = tensor
                continue
            start = facts.rows.get(name, [0])[0]
            try:
                known = parts.get(name) or _empty(target)
                parts[name] = known.plus(tensor, start)
            except RunError as error:
                raise RunError(f"{file}: {name}: {error}") from None
    for name, rows in parts.items():
        if rows.found != rows.shape[0]:
            raise RunError(
                f"{files[0]}: {name}: found {rows.found} rows in {len(files)} files, expected "
                f"{rows.shape[0]}"
            )
    return whole | {name: _laid_out(rows, like(name)) for name, rows in parts.items()}


def _facts(header: Header, index: int, count: int) -> Shard:
    """What a file says of itself. Raises RunError where it is not the one that its name says."""
    if KEY not in header.metadata:
        facts = Shard(index=0, count=1, save="")
    else:
        try:
            facts = Shard.model_validate_json(header.metadata[KEY])
        except ValidationError as error:
            raise RunError(f"damaged: {KEY}: {error.errors()[0]['msg']}") from None
    if (facts.index, facts.count) != (index, count):
        raise RunError(
            f"found file {facts.index} of {facts.count} of a state, expected {index} of {count}"
        )
    return facts


def _check_layout(name: str, tensor: Tensor, facts: Shard, like: Tensor | None) -> None:
    """Raises RunError where the rows of a file are not rows of the tensor they are for."""
    shape = list(tensor.shape)
    if name in facts.rows:
        start, *whole = facts.rows[name]
        if not 0 <= start <= start + shape[0] <= whole[0] or shape[1:] != whole[1:]:
            raise RunError(f"damaged: {name}: found {shape} from row {start} of {whole}")
        shape = whole
    elif like is not None and facts.index:
        raise RunError(f"damaged: {name}: expected the rows that it has")
    if like is not None and (shape != list(like.shape) or tensor.dtype != like.dtype):
        raise RunError(
            f"{name}: found {tuple(shape)} {tensor.dtype}, expected {tuple(like.shape)} {like.dtype}"
        )


def _empty(like: Tensor) -> Rows:
    """What is to be read of a tensor: its rows of this rank, all where it is not sharded."""
    part, first = (like.to_local(), first_row(like)) if isinstance(like, DTensor) else (like, 0)
    tensor = torch.empty(part.shape, dtype=part.dtype, device="cpu")
    return Rows(tensor, first, tuple(like.shape))


def _laid_out(rows: Rows, like: Tensor | None) -> Tensor:
    """The rows that were read as the tensor that they are part of."""
    if not isinstance(like, DTensor):
        return rows.tensor
    return DTensor.from_local(
        rows.tensor.to(like.device),
        like.device_mesh,
        like.placements,
        run_check=False,
        shape=like.shape,
        stride=like.stride(),
    )
