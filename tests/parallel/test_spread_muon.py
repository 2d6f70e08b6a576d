from __future__ import annotations

import torch
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor

from hornbook.optim.muon import Muon
from hornbook.parallel.ranks import joined
from hornbook.parallel.spread_muon import SpreadMuon, deal
from tests.parallel.helpers import on_ranks

SHAPES = ((8, 8), (5, 12), (12, 5), (8, 8), (3, 3), (1, 4), (8, 8))


class Matrices(nn.Module):
    """Some matrices of different shapes, one of fewer rows than ranks, and a vector."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.matrices = nn.ParameterList(nn.Parameter(torch.randn(shape)) for shape in SHAPES)
        self.vector = nn.Parameter(torch.randn(7))

    def optimizer(self, build: type[Muon]) -> Muon:
        own = {"params": list(self.matrices), "muon": True, "weight_decay": 0.1}
        return build([{"params": [self.vector]}, own], lr=0.02, fused=True)


def gradients(step: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(step)
    return [torch.randn(shape, generator=generator) for shape in ((7,), *SHAPES)]


def after_three_steps(build: type[Muon], mesh: tuple[int, ...] = ()) -> list[list[float]]:
    """The parameters of `Matrices` after three steps with the gradients above."""
    model = Matrices()
    if mesh:
        names = ("replicate", "shard")[-len(mesh) :]
        fully_shard(model, mesh=init_device_mesh("cpu", mesh, mesh_dim_names=names))
    optimizer = model.optimizer(build)
    parameters = list(model.parameters())
    for step in range(3):
        for parameter, gradient in zip(parameters, gradients(step), strict=True):
            parameter.grad = gradient
            if isinstance(parameter, DTensor):
                whole = DTensor.from_local(gradient, parameter.device_mesh, run_check=False)
                parameter.grad = whole.redistribute(placements=parameter.placements)
        optimizer.step()
    tensors = [p.full_tensor() if isinstance(p, DTensor) else p for p in parameters]
    return [t.flatten().tolist() for t in tensors]


def on_two_meshes() -> list[list[list[float]]]:
    with joined("cpu"):
        return [after_three_steps(SpreadMuon, mesh) for mesh in ((4,), (2, 2))]


def test_three_steps_equal_those_of_one_process() -> None:
    expected = after_three_steps(Muon)
    for meshes in on_ranks(4, on_two_meshes):
        for found in meshes:
            for a, b in zip(found, expected, strict=True):
                torch.testing.assert_close(torch.tensor(a), torch.tensor(b), rtol=1e-5, atol=1e-6)


def test_the_work_is_dealt_evenly() -> None:
    shapes = ((64, 64),) * 12 + ((64, 192),) * 6
    for n in (1, 2, 4):
        work = [
            sum(a * b * min(a, b) for a, b in (shapes[k] for k in own)) for own in deal(shapes, n)
        ]
        assert max(work) <= 1.25 * min(work)
        assert sorted(k for own in deal(shapes, n) for k in own) == list(range(len(shapes)))
