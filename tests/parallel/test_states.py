from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.distributed.tensor import Shard as OfRows

from hornbook.errors import RunError
from hornbook.files import read_tensors, write_tensors
from hornbook.parallel.ranks import joined
from hornbook.parallel.states import Shard, read_rows, shard_file, shard_files, write_rows
from tests.parallel.helpers import on_ranks

STATE = "state-00000010-0.safetensors"


def values() -> dict[str, Tensor]:
    """Tensors of all sorts: of fewer rows than ranks, of a row, of integers, without dimensions."""
    generator = torch.Generator().manual_seed(0)
    shapes = {"wide": (3, 5), "long": (11, 2), "vector": (7,), "one": (1, 4)}
    tensors = {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    return tensors | {"integers": torch.arange(9), "step": torch.tensor(3.0)}


def sharded(mesh: tuple[int, ...]) -> dict[str, Tensor]:
    """The tensors above as FSDP2 shards them; the integers and the number are not."""
    names = ("replicate", "shard")[-len(mesh) :]
    device_mesh = init_device_mesh("cpu", mesh, mesh_dim_names=names)
    if len(mesh) == 2:
        device_mesh = device_mesh["shard"]
    plain = {"integers", "step"}
    return {
        name: tensor if name in plain else distribute_tensor(tensor, device_mesh, [OfRows(0)])
        for name, tensor in values().items()
    }


def write_and_read(folder: str) -> list[bool]:
    """Saved over four ranks, and over two of them twice; read over four, also what one has written."""
    with joined("cpu"):
        return _written_and_read(folder)


def _written_and_read(folder: str) -> list[bool]:
    equal: list[bool] = []
    four = sharded((4,))
    for mesh, name in (((4,), "four"), ((2, 2), "two")):
        state = Path(folder, name, STATE)
        if torch.distributed.get_rank() == 0:
            state.parent.mkdir()
        torch.distributed.barrier()
        tensors = sharded(mesh)
        own = next(t for t in tensors.values() if isinstance(t, DTensor)).device_mesh
        shard = Shard(index=own.get_local_rank(), count=own.size(), save="a")
        if torch.distributed.get_rank() < own.size():
            file = shard_file(state, shard.index, shard.count)
            write_rows(file, tensors, shard, {"position": "{}"})
        torch.distributed.barrier()
        files = shard_files(shard_file(state, 0, own.size()))
        equal += same(read_rows(files, four.get), four)
    equal += same(read_rows([Path(folder, STATE)], four.get), four)
    return equal


def same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> list[bool]:
    pairs = [(found[name], expected[name]) for name in expected]
    return [
        torch.equal(a.to_local(), b.to_local()) if isinstance(b, DTensor) else torch.equal(a, b)
        for a, b in pairs
    ] + [found.keys() == expected.keys()]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("states")
    write_tensors(folder / STATE, values(), {"position": "{}"})
    for equal in on_ranks(4, write_and_read, str(folder)):
        assert all(equal)
    return folder


def read(folder: Path, count: int) -> dict[str, Tensor]:
    return read_rows(shard_files(shard_file(folder / STATE, 0, count)), values().get)


@pytest.mark.parametrize(("name", "count"), [("four", 4), ("two", 2)])
def test_one_process_reads_what_several_have_written(saved: Path, name: str, count: int) -> None:
    assert len(list((saved / name).iterdir())) == count
    assert all(same(read(saved / name, count), values()))


def test_damage_is_found_and_named(saved: Path, tmp_path: Path) -> None:
    for index in range(4):
        folder = tmp_path / str(index)
        shutil.copytree(saved / "four", folder)
        file = shard_file(folder / STATE, index, 4)
        whole = file.read_bytes()
        file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        with pytest.raises(RunError, match=rf"\.{index}-of-4\..*checksum"):
            read(folder, 4)
        file.unlink()
        with pytest.raises(RunError, match=rf"\.{index}-of-4\..*cannot be read"):
            read(folder, 4)
        other = (index + 1) % 4
        shutil.copy(shard_file(folder / STATE, other, 4), file)
        with pytest.raises(
            RunError, match=rf"found file {other} of 4 of a state, expected {index}"
        ):
            read(folder, 4)


def test_files_of_two_saves_are_not_mixed(saved: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mixed"
    shutil.copytree(saved / "four", folder)
    file = shard_file(folder / STATE, 2, 4)
    shard = Shard(index=2, count=4, save="b")
    write_rows(file, {}, shard, {})
    with pytest.raises(RunError, match=r"2-of-4.*another save"):
        read(folder, 4)


def test_rows_that_no_file_has_are_found(saved: Path, tmp_path: Path) -> None:
    """Each file is whole and of the same save, but one of them was written without its rows."""
    folder = tmp_path / "fewer"
    shutil.copytree(saved / "four", folder)
    for index, found in ((1, "found rows from 6, expected rows from 3"), (3, "found 9 rows")):
        file = shard_file(folder / STATE, index, 4)
        whole = file.read_bytes()
        write_rows(file, {}, Shard(index=index, count=4, save="a"), {})
        with pytest.raises(RunError, match=found):
            read(folder, 4)
        file.write_bytes(whole)
    assert read_tensors(shard_file(folder / STATE, 3, 4)).keys() == {"long", "vector"}
    assert all(same(read(folder, 4), values()))
