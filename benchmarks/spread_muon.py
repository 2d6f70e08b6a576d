"""Muon with sharded matrices: dealt over the ranks, against letting DTensor gather them.

    torchrun --nproc-per-node 2 benchmarks/spread_muon.py [--channels 256] [--blocks 4] [--steps 10]

Steps of the optimizer alone, on a GPT whose weights are sharded (FSDP2, Gloo on a CPU), both ways in
turns within one run; medians. `processor` is the processor time of a rank, on average over the ranks:
go by that on a machine with other work, or with fewer cores than ranks. Prints a table, then one JSON
line.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time

import torch
from torch import Tensor, nn

from hornbook.config import OptimConfig
from hornbook.models.gpt import GPT, GPTConfig
from hornbook.optim.groups import build_optimizer
from hornbook.optim.muon import Muon
from hornbook.parallel.ranks import Ranks, joined
from hornbook.parallel.sharded import Sharded
from hornbook.parallel.shards import full, is_sharded, own_rows
from hornbook.parallel.spread_muon import SpreadMuon


class Loss(nn.Module):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: Tensor) -> Tensor:
        return self.model(ids).square().mean()


def build(ranks: Ranks, config: GPTConfig, kind: type[Muon]) -> tuple[torch.optim.Optimizer, GPT]:
    torch.manual_seed(0)
    model = GPT(config, 96, None)
    Sharded(ranks, model, Loss(model))
    optimizer = build_optimizer(model, OptimConfig(name="muon"), model.output, kind)
    generator = torch.Generator().manual_seed(1)
    for parameter in model.parameters():
        assert is_sharded(parameter)
        gradient = torch.randn(parameter.shape, generator=generator)
        first, end = own_rows(parameter)
        parameter.grad = parameter.detach().clone()
        parameter.grad.to_local().copy_(gradient[first:end])
    return optimizer, model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--channels", type=int, default=256)
    parser.add_argument("--blocks", type=int, default=4)
    parser.add_argument("--steps", type=int, default=10)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    config = GPTConfig(
        n_layer=arguments.blocks, n_embd=arguments.channels, n_hidden=3 * arguments.channels
    )
    ways = {"DTensor gathers": Muon, "spread": SpreadMuon}
    with joined("cpu") as ranks:
        built = {name: build(ranks, config, kind) for name, kind in ways.items()}
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        processor: dict[str, list[float]] = {name: [] for name in ways}
        for step in range(arguments.steps + 1):
            for name, (optimizer, _) in built.items():
                ranks.any(False)
                begin, used = time.perf_counter(), time.process_time()
                optimizer.step()
                own = torch.tensor(time.process_time() - used)
                ranks.any(False)
                if step:  # the first one makes the state
                    seconds[name].append(time.perf_counter() - begin)
                    processor[name].append(float(ranks.sum(own)) / ranks.world_size)
        models = [model for _, model in built.values()]
        pairs = zip(models[0].parameters(), models[1].parameters(), strict=True)
        apart = max(float((full(a) - full(b)).abs().max()) for a, b in pairs)
        if ranks.is_first:
            show(ranks.world_size, seconds, processor, apart)


def show(
    world_size: int,
    seconds: dict[str, list[float]],
    processor: dict[str, list[float]],
    apart: float,
) -> None:
    walls = {name: statistics.median(found) for name, found in seconds.items()}
    used = {name: statistics.median(found) for name, found in processor.items()}
    for name, wall in walls.items():
        print(f"{name:16} {1000 * wall:8.1f} ms, processor {1000 * used[name]:8.1f} ms")
    times, less = (found["DTensor gathers"] / found["spread"] for found in (walls, used))
    print(f"{times:.2f} times as fast, {less:.2f} by processor time; weights differ by {apart:.1e}")
    figures = {"ranks": world_size, "seconds": walls, "processor": used}
    print(json.dumps({**figures, "times": times, "times_processor": less, "apart": apart}))


if __name__ == "__main__":
    main()
