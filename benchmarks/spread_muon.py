"""Muon with sharded matrices: dealt over the ranks, against two plainer ways.

    torchrun --nproc-per-node 2 benchmarks/spread_muon.py [--channels 256] [--blocks 4] [--steps 10]

products: the iteration on DTensors, matrix by matrix; DTensor gathers what each product needs. (`Muon`
itself, which stacks matrices of one shape, fails on DTensors of 4 ranks: torch refuses to unbind them.)
gathered: every rank gathers all matrices and orthogonalizes all of them. spread: `SpreadMuon`.

Steps of the optimizer alone, on a GPT whose weights are sharded (FSDP2, Gloo on a CPU), all ways in
turns within one run; medians. `processor` is the processor time of a rank, on average over the ranks:
go by that on a machine with other work, or with fewer cores than ranks. Prints a table, then one JSON
line.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections import defaultdict
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from hornbook.config import OptimConfig
from hornbook.models.gpt import GPT, GPTConfig
from hornbook.optim.groups import build_optimizer
from hornbook.optim.muon import Muon, orthogonalize
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


class ByProducts(Muon):
    def _muon(self, group: dict[str, Any]) -> None:
        for p in group["params"]:
            momentum = self._momentum(p).lerp_(p.grad, 1 - group["momentum"])
            ahead = p.grad.lerp(momentum, group["momentum"])
            rows, columns = p.shape
            update = orthogonalize(ahead[None])[0] * max(1, rows / columns) ** 0.5
            p.mul_(1 - group["lr"] * group["weight_decay"]).add_(update, alpha=-group["lr"])


class Gathered(Muon):
    def _muon(self, group: dict[str, Any]) -> None:
        shapes: dict[torch.Size, list[DTensor]] = defaultdict(list)
        for p in group["params"]:
            shapes[p.shape].append(p)
        for (rows, columns), parameters in shapes.items():
            whole = []
            for p in parameters:
                momentum = self._momentum(p).lerp_(p.grad, 1 - group["momentum"])
                whole.append(full(p.grad.lerp(momentum, group["momentum"])))
            updates = orthogonalize(torch.stack(whole)) * max(1, rows / columns) ** 0.5
            for p, update in zip(parameters, updates, strict=True):
                first, end = own_rows(p)
                own = p.to_local().mul_(1 - group["lr"] * group["weight_decay"])
                own.add_(update[first:end], alpha=-group["lr"])


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
    ways = {"products": ByProducts, "gathered": Gathered, "spread": SpreadMuon}
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
        weights = [[full(p) for p in model.parameters()] for model in models]
        apart = max(
            float((a - b).abs().max())
            for others in weights[:2]
            for a, b in zip(others, weights[2], strict=True)
        )
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
    times = {
        name: {"wall": walls[name] / walls["spread"], "processor": used[name] / used["spread"]}
        for name in ("products", "gathered")
    }
    for name, found in times.items():
        print(
            f"spread is {found['wall']:.2f} times as fast as {name}, {found['processor']:.2f} by "
            "processor time"
        )
    print(f"weights differ by at most {apart:.1e}")
    figures = {"ranks": world_size, "seconds": walls, "processor": used}
    print(json.dumps({**figures, "times": times, "apart": apart}))


if __name__ == "__main__":
    main()
