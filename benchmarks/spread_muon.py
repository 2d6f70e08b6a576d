"""Muon with sharded matrices: dealt over the ranks, against letting DTensor gather them.

    torchrun --nproc-per-node 2 benchmarks/spread_muon.py [--channels 256] [--blocks 4] [--steps 10]

Steps of the optimizer alone, on a GPT whose weights are sharded (FSDP2, Gloo on a CPU), both ways in
turns within one run; medians. Prints a table, then one JSON line.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time

import torch
import torch.distributed as dist
from torch import Tensor, nn

from hornbook.config import OptimConfig
from hornbook.models.gpt import GPT, GPTConfig
from hornbook.optim.groups import build_optimizer
from hornbook.optim.muon import Muon
from hornbook.parallel.sharded import Sharded, make_mesh
from hornbook.parallel.spread_muon import SpreadMuon


class Loss(nn.Module):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: Tensor) -> Tensor:
        return self.model(ids).square().mean()


def build(config: GPTConfig, kind: type[Muon]) -> tuple[torch.optim.Optimizer, GPT]:
    torch.manual_seed(0)
    model = GPT(config, 96, None)
    Sharded(model, Loss(model), make_mesh(dist.get_world_size(), 1, torch.device("cpu")))
    optimizer = build_optimizer(model, OptimConfig(name="muon"), model.output)
    optimizer.__class__ = kind
    generator = torch.Generator().manual_seed(1)
    for parameter in model.parameters():
        own = parameter.to_local()
        gradient = torch.randn(parameter.shape, generator=generator)
        first = dist.get_rank() * -(-len(gradient) // dist.get_world_size())
        parameter.grad = parameter.detach().clone()
        parameter.grad.to_local().copy_(gradient[first : first + len(own)])
    return optimizer, model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--channels", type=int, default=256)
    parser.add_argument("--blocks", type=int, default=4)
    parser.add_argument("--steps", type=int, default=10)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    config = GPTConfig(
        n_layer=arguments.blocks, n_embd=arguments.channels, n_hidden=3 * arguments.channels
    )
    ways = {"DTensor gathers": Muon, "spread": SpreadMuon}
    built = {name: build(config, kind) for name, kind in ways.items()}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for step in range(arguments.steps + 1):
        for name, (optimizer, _) in built.items():
            dist.barrier()
            begin = time.perf_counter()
            optimizer.step()
            dist.barrier()
            if step:  # the first one makes the state
                seconds[name].append(time.perf_counter() - begin)
    models = [model for _, model in built.values()]
    pairs = zip(models[0].parameters(), models[1].parameters(), strict=True)
    apart = max(float((a - b).full_tensor().abs().max().detach()) for a, b in pairs)
    if dist.get_rank() == 0:
        medians = {name: statistics.median(found) for name, found in seconds.items()}
        for name, median in medians.items():
            print(f"{name:16} {1000 * median:8.1f} ms")
        ratio = medians["DTensor gathers"] / medians["spread"]
        print(f"{ratio:.2f} times as fast; weights differ by at most {apart:.1e}")
        world = dist.get_world_size()
        print(json.dumps({"ranks": world, "seconds": medians, "times": ratio, "apart": apart}))
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
