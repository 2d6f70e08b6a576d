"""Weights, gradients and optimizer state sharded over ranks, by PyTorch's FSDP2 (`fully_shard`).

Each rank keeps some rows of every weight. The blocks of a model are gathered one after the other where
they are computed, forward and backward, and their gradients averaged over all ranks on the way back to
the rows; the rest of a model is gathered as a whole. Zhao et al. 2023, "PyTorch FSDP: experiences on
scaling fully sharded data parallel"; Rajbhandari et al. 2020, "ZeRO".
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import fully_shard

from hornbook.errors import ConfigError
from hornbook.models.base import LanguageModel, blocks_of
from hornbook.parallel.ranks import Ranks
from hornbook.parallel.replicated import synchronize_batchnorm
from hornbook.parallel.shards import as_rows, full, local


def make_mesh(world_size: int, replicas: int, device: torch.device) -> DeviceMesh:
    """The ranks as a (replicate, shard) mesh; as one dimension (shard,) where there is one replica.

    replicas: how often all weights are there; each is sharded over world_size / replicas ranks that
    follow each other. Raises ConfigError where it does not divide the number of ranks.
    """
    if world_size % replicas:
        raise ConfigError(
            f"replicas: found {replicas} for {world_size} ranks, expected a divisor of their number"
        )
    if replicas == 1:
        return init_device_mesh(device.type, (world_size,), mesh_dim_names=("shard",))
    shape = (replicas, world_size // replicas)
    return init_device_mesh(device.type, shape, mesh_dim_names=("replicate", "shard"))


class Sharded:
    """A model whose parameters are sharded, in place.

    rows: of each parameter those of this rank, where the model is on `meta` (`parallel/drawing.py`);
    otherwise its parameters become those of rank 0, tensor by tensor.
    root: the module whose forward pass computes the loss from it; only through this the model is
    trained. replicas: see `make_mesh`. Of each step: `begin` before the last backward pass, `finish`
    after it. BatchNorm measures the statistics of the whole batch.
    """

    def __init__(
        self,
        ranks: Ranks,
        model: LanguageModel,
        root: nn.Module,
        replicas: int = 1,
        rows: Mapping[str, Tensor] | None = None,
    ) -> None:
        self.ranks, self.model = ranks, model
        device = next(iter(rows.values())).device if rows else model.device
        self.mesh = make_mesh(ranks.world_size, replicas, device)
        if rows is None:
            for tensor in model.state_dict().values():
                tensor.copy_(ranks.broadcast_tensors({"": tensor})[""])
        synchronize_batchnorm(model, ranks)
        self._whole = _without_weights(model)
        for block in blocks_of(model):
            fully_shard(block, mesh=self.mesh)
        fully_shard(root, mesh=self.mesh)
        if rows is not None:
            self._fill(rows)
        self._loss = torch.zeros(())

    def _fill(self, rows: Mapping[str, Tensor]) -> None:
        """Gives the parameters the rows that this rank has of them; all replicas those of the first."""
        if self.mesh.ndim > 1:
            group = self.mesh.get_group(0)
            for tensor in filter(Tensor.numel, rows.values()):
                torch.distributed.broadcast(tensor, group=group, group_src=0)
        like = dict(self.model.named_parameters())
        filled = {name: as_rows(tensor, like[name]) for name, tensor in rows.items()}
        self.model.load_state_dict(filled, strict=False, assign=True)

    @property
    def shard(self) -> tuple[int, int] | None:
        """Which shard of how many this rank saves; None where another replica saves it."""
        last = self.mesh.ndim - 1
        if last and self.mesh.get_local_rank(0):
            return None
        return self.mesh.get_local_rank(last), self.mesh.size(last)

    def begin(self, loss: Tensor) -> None:
        """The gradients of the next backward pass are final. loss: the sum of this rank's losses, which
        becomes that of all."""
        self._loss = loss

    def finish(self) -> None:
        """Makes gradients, which FSDP2 averages over the ranks, their sums: each rank divides its loss
        by the targets of all of them."""
        self.ranks.sum(self._loss)
        gradients = local([p.grad for p in self.model.parameters() if p.grad is not None])
        torch._foreach_mul_(gradients, float(self.ranks.world_size))

    @contextmanager
    def gathered(self, values: Sequence[Tensor] | None = None) -> Iterator[LanguageModel]:
        """The model with whole weights on every rank, as an ordinary one: to evaluate, sample and save.
        It shares the buffers of the one that is trained. All ranks call this.

        values: of the parameters that are trained, in order; by default those that they have.
        """
        own: dict[str, Tensor] = dict(self.model.named_parameters())
        if values is not None:
            trained = [name for name, tensor in own.items() if tensor.requires_grad]
            own |= dict(zip(trained, values, strict=True))
        whole = {name: nn.Parameter(full(p), p.requires_grad) for name, p in own.items()}
        self._whole.load_state_dict(whole, strict=False, assign=True)
        try:
            yield self._whole
        finally:
            empty = {name: nn.Parameter(p.to("meta"), p.requires_grad) for name, p in whole.items()}
            self._whole.load_state_dict(empty, strict=False, assign=True)


def _without_weights(model: LanguageModel) -> LanguageModel:
    """A copy whose parameters take no memory, and whose buffers are those of the model."""
    shared: dict[int, object] = {id(buffer): buffer for buffer in model.buffers()}
    for parameter in model.parameters():
        shared[id(parameter)] = nn.Parameter(parameter.to("meta"), parameter.requires_grad)
    return copy.deepcopy(model, shared)
