"""A state that several ranks save: each writes its rows of every tensor to a file of its own.

A file says which rows of which tensors it has. On loading, the rows of each tensor are counted over all
files, so any number of ranks can read what any number has written, and nothing that is missing goes
unnoticed. A file without that, of one process, has all rows of everything.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor

from hornbook.errors import RunError
from hornbook.files import Header, read_tensors, write_tensors
from hornbook.parallel.shards import as_rows, is_sharded, own_rows

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


def first_file(file: Path) -> Path:
    """The first file of the state that a file is of, by which the state is named."""
    match = FILE.fullmatch(file.name)
    return shard_file(file, 0, int(match[3])) if match else file


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
        if not is_sharded(tensor):
            if shard.index == 0:
                own[name] = tensor
        elif (part := tensor.to_local()).numel():
            own[name], rows[name] = part, [own_rows(tensor)[0], *tensor.shape]
    facts = shard.model_copy(update={"rows": rows}).model_dump_json()
    write_tensors(file, own, {**metadata, KEY: facts})


class Rows:
    """What a rank reads of a tensor: its own rows, or none where nobody has a tensor of this name.

    found: how many rows of the whole were in the files so far.
    """

    def __init__(self, like: Tensor | None, shape: Sequence[int]) -> None:
        self.like, self.shape, self.found = like, list(shape), 0
        self.first, end = own_rows(like) if is_sharded(like) else (0, shape[0])
        size = (end - self.first, *shape[1:])
        self.own = None if like is None else torch.empty(size, dtype=like.dtype, device="cpu")

    def add(self, part: Tensor, start: int) -> None:
        """Takes what it needs of the rows of a file. Raises RunError where some before are missing."""
        if start != self.found:
            raise RunError(f"found rows from {start}, expected rows from {self.found}")
        self.found = end = start + len(part)
        if self.own is not None:
            low, high = max(start, self.first), min(end, self.first + len(self.own))
            if low < high:
                self.own[low - self.first : high - self.first] = part[low - start : high - start]

    def tensor(self) -> Tensor:
        """The rows as the tensor that they are a part of."""
        assert self.own is not None
        if not is_sharded(self.like):
            return self.own
        return as_rows(self.own, self.like)


def read_rows(
    files: Sequence[Path], like: Like, check: Callable[[Header], None] = lambda _: None
) -> dict[str, Tensor]:
    """The tensors of a state, of sharded ones the rows of this rank, one file in memory at a time.

    files: all of the state, in order. like: the tensor that one of this name is to be laid out as; None
    for what is read as it is, and for rows that are only counted. check: is called with the header of
    the first file. Raises RunError where a file is missing, damaged or of another save, or where rows
    are missing.
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
            if name not in facts.rows and not is_sharded(target):
                whole[name] = tensor
                continue
            start, *shape = facts.rows.get(name, [0, *tensor.shape])
            try:
                if name not in parts:
                    parts[name] = Rows(target, shape)
                parts[name].add(tensor, start)
            except RunError as error:
                raise RunError(f"{file}: {name}: {error}") from None
    for name, rows in parts.items():
        if rows.found != rows.shape[0]:
            raise RunError(
                f"{files[0]}: {name}: found {rows.found} rows in {len(files)} files, expected "
                f"{rows.shape[0]}"
            )
    return whole | {name: rows.tensor() for name, rows in parts.items() if rows.own is not None}


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
