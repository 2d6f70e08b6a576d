"""What a model of a billion parameters takes on many GPUs: memory, communication, efficiency, cost.

    python benchmarks/scaling.py [--mfu 0.39] [--dollars 2.5]

This is a calculation: hornbook measured nothing of it on a GPU. The bytes that a block keeps for its
backward pass are counted on this machine. Rates are published ones:

- An H100 SXM has 989 TFLOP/s in bf16 (dense), 80 GB at 3.35 TB/s, NVLink at 450 GB/s each way, and one
  network card of 400 Gb/s beside it (NVIDIA's data sheets of H100 and DGX H100).
- One GPU alone reaches 39% of its peak: what torchtitan reports for a Llama of 8B on 8 and on 128
  GPUs, compiled (benchmarks/llama3_h100_202412_torchtitan.md there). A model of 1B has smaller products
  and may reach less; --mfu is for that.
- Collectives: 340 GB/s within a machine, 200 GB/s over 32 of them (all_gather_perf, NVIDIA/nccl#1218);
  latencies and their formulas are those by which NCCL itself chooses (src/graph/tuning.cc).

A ring's time is its latency and its bytes; what is gathered or reduced for one block hides behind the
computation of another. Not in it: stragglers, the reading of data, evaluations, saving, faults.
"""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from hornbook.models.gpt import GPT, GPTConfig
from hornbook.models.registry import build_on_meta

PEAK, HBM_BYTES, HBM_RATE = 989e12, 80e9, 3.35e12
NODE = 8  # GPUs of a machine
BUS_NODE, BUS_NETWORK = 340e9, 200e9  # bytes a second of a collective, in nccl-tests' sense
RING_BASE, RING_NVLINK, RING_NETWORK = 8.4e-6, 3.4e-6, 14e-6  # seconds: once, and of each hop
TREE_NETWORK = 14e-6
ADAMW_BYTES = 28  # of a parameter: weight, gradient and two moments read, three of them written
LOGIT_BYTES = 14  # of a logit: in bf16 and float32, log-softmax, gradient
TOKENS_PER_PARAMETER = 20  # Hoffmann et al. 2022
FLOAT32 = 4

Way = Literal["ddp", "fsdp", "hybrid"]

ONE_B = GPTConfig(
    n_layer=16, n_embd=2048, n_head=16, n_kv_head=8, n_hidden=6144, context_length=2048
)
# as Llama 3.1 8B, with a published result on 8 and on 128 GPUs
EIGHT_B = GPTConfig(
    n_layer=32, n_embd=4096, n_head=32, n_kv_head=8, n_hidden=14336, context_length=8192
)
PUBLISHED = 6514 / 6667  # tokens a second of a GPU: on 128 of them over on 8


@dataclass(frozen=True)
class Sizes:
    """Of a model: parameters, those of a block, floating-point operations and bytes of a token."""

    parameters: int
    block: int
    blocks: int
    matrices: tuple[tuple[int, int], ...]
    flops: float
    kept: float
    logits: int

    @classmethod
    def of(cls, config: GPTConfig, vocab_size: int) -> Sizes:
        model = build_on_meta(config, vocab_size, None)
        assert isinstance(model, GPT)
        parameters = model.n_parameters
        embedding = model.token_embedding.weight.numel()
        attention = config.n_layer * config.n_embd * config.context_length
        return cls(
            parameters=parameters,
            block=sum(p.numel() for p in model.blocks[0].parameters()),
            blocks=config.n_layer,
            matrices=tuple(
                (p.shape[0], p.shape[1]) for p in model.blocks.parameters() if p.ndim == 2
            ),
            flops=6 * (parameters - embedding) + 6 * attention,  # causal: half of all pairs
            kept=config.n_layer * config.n_embd * kept_per_channel(),
            logits=vocab_size,
        )


@dataclass(frozen=True)
class Setting:
    """How many GPUs, how weights are spread over them, and the tokens that each computes at once, and
    how often in a step."""

    gpus: int
    way: Way
    tokens: int
    accumulated: int = 1
    checkpointing: bool = False

    @property
    def shards(self) -> int:
        return {"ddp": 1, "fsdp": self.gpus, "hybrid": min(NODE, self.gpus)}[self.way]


def kept_per_channel() -> float:
    """Bytes that a block of a GPT keeps for its backward pass, by token and channel, in bf16."""
    config = GPTConfig(n_layer=1, n_embd=256, n_head=2, n_kv_head=1, n_hidden=768)
    model = build_block(config)
    found = []
    for length in (64, 128):  # what does not grow with the tokens are weights
        seen: dict[int, int] = {}

        def keep(tensor: torch.Tensor, seen: dict[int, int] = seen) -> torch.Tensor:
            storage = tensor.untyped_storage()
            seen[storage.data_ptr()] = storage.nbytes()
            return tensor

        x = torch.zeros(1, length, config.n_embd, requires_grad=True)
        with (
            torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t),
            torch.autocast("cpu", torch.bfloat16),
        ):
            out = model(x)
        found.append(sum(seen.values()))
        del out
    return (found[1] - found[0]) / 64 / config.n_embd


def build_block(config: GPTConfig) -> nn.Module:
    return GPT(config, 8, None).blocks[0]


def ring(gpus: int, payload: float, *, nodes: int) -> float:
    """Seconds of an all-gather or a reduce-scatter of so many bytes over GPUs on so many machines."""
    if gpus == 1:
        return 0.0
    between = nodes - 1 if nodes > 1 else 0
    latency = RING_BASE + (gpus - 1 - between) * RING_NVLINK + between * RING_NETWORK
    rate = BUS_NODE if nodes == 1 else BUS_NETWORK
    return latency + payload * (gpus - 1) / gpus / rate


def all_reduce(gpus: int, payload: float, *, nodes: int) -> float:
    """Seconds of an all-reduce: two rings, or a tree where that is faster."""
    if gpus == 1:
        return 0.0
    per_node = gpus // nodes
    rate = BUS_NODE if nodes == 1 else BUS_NETWORK * min(1, per_node / NODE)
    depth = (per_node - 1) * RING_NVLINK + math.log2(nodes) * TREE_NETWORK
    tree = RING_BASE + 2 * depth + 2 * payload / rate
    between = nodes - 1 if nodes > 1 else 0
    hops = (gpus - 1 - between) * RING_NVLINK + between * RING_NETWORK
    return min(tree, RING_BASE + 2 * (hops + payload * (gpus - 1) / gpus / rate))


def muon_flops(matrices: tuple[tuple[int, int], ...]) -> float:
    """Of five Newton-Schulz steps of each matrix: two products with its longer side, one without."""
    sides = ((min(m), max(m)) for m in matrices)
    return sum(5 * (4 * a * a * b + 2 * a**3) for a, b in sides)


def step(sizes: Sizes, setting: Setting, mfu: float) -> dict[str, float]:
    """Seconds of a step, its parts, and bytes."""
    gpus, shards = setting.gpus, setting.shards
    nodes = max(1, gpus // NODE)
    flops = sizes.flops * setting.tokens
    again = 4 / 3 if setting.checkpointing else 1.0  # blocks are computed forward twice
    compute = again * flops / (PEAK * mfu)  # of what is computed at once
    block_bytes = FLOAT32 * sizes.block
    rest_bytes = FLOAT32 * (sizes.parameters - sizes.blocks * sizes.block)
    inside = max(1, shards // NODE)  # machines that a replica is on
    gather = ring(shards, block_bytes, nodes=inside)
    gather_rest = ring(shards, rest_bytes, nodes=inside)
    copies = gpus // shards
    reduce = ring(shards, block_bytes, nodes=inside)
    reduce_rest = ring(shards, rest_bytes, nodes=inside)
    if copies > 1:
        machines = nodes if setting.way == "hybrid" else max(1, copies // NODE)
        reduce += all_reduce(copies, block_bytes / shards, nodes=machines)
        reduce_rest += all_reduce(copies, rest_bytes / shards, nodes=machines)

    forward, backward = compute / 3 / sizes.blocks, 2 * compute / 3 / sizes.blocks
    hidden = sizes.blocks - 1
    last = max(backward, gather + reduce) * hidden + backward + gather + reduce_rest + reduce
    if shards > 1:  # each time: gathered for both passes, reduced after the second
        once = gather_rest + gather + max(forward, gather) * hidden + forward + last
        seconds = once * setting.accumulated
    else:  # reduced behind the last backward pass alone
        seconds = compute * setting.accumulated - backward * sizes.blocks + last
    sent = FLOAT32 * sizes.parameters * (shards - 1) / shards * 3 * setting.accumulated
    sent += 2 * FLOAT32 * sizes.parameters / shards * (copies - 1) / copies
    update = sizes.parameters / shards * ADAMW_BYTES / HBM_RATE
    hidden_weights = sum(a * b for a, b in sizes.matrices)
    muon = muon_flops(sizes.matrices) / shards / (PEAK * mfu)
    muon += 2 * ring(shards, FLOAT32 * hidden_weights / shards, nodes=inside)
    ideal = flops * setting.accumulated / (PEAK * mfu)
    kept = sizes.kept if not setting.checkpointing else sizes.kept / sizes.blocks
    gathered = 0 if shards == 1 else 2 * block_bytes + rest_bytes
    return {
        "seconds": seconds + update,
        "efficiency": ideal / (seconds + update),
        "efficiency_muon": ideal / (seconds + update + muon),
        "update": update,
        "muon": muon,
        "sent": sent,
        "state": 4 * FLOAT32 * sizes.parameters / shards,
        "memory": 4 * FLOAT32 * sizes.parameters / shards
        + gathered
        + 2 * sizes.parameters  # weights in bf16, while they are computed with
        + setting.tokens * (kept + LOGIT_BYTES * sizes.logits),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--mfu", type=float, default=0.39, help="share of its peak that a GPU reaches"
    )
    parser.add_argument("--dollars", type=float, default=2.5, help="price of a GPU for an hour")
    parser.add_argument("--vocabulary", type=int, default=50_304)
    arguments = parser.parse_args()
    sizes = Sizes.of(ONE_B, arguments.vocabulary)
    settings = [
        Setting(8, "ddp", 16_384, 4),
        Setting(8, "fsdp", 16_384, 4),
        Setting(64, "ddp", 16_384),
        Setting(64, "fsdp", 16_384),
        Setting(64, "hybrid", 16_384),
        Setting(1024, "ddp", 4_096),
        Setting(1024, "fsdp", 4_096),
        Setting(1024, "hybrid", 4_096),
        Setting(1024, "hybrid", 16_384),
    ]
    rows = [
        ["GPUs", "way", "tokens of a batch", "weights and optimizer", "memory", "sent in a step",
         "step", "efficiency", "with Muon", "run", "dollars"],
    ]  # fmt: skip
    figures = []
    tokens = TOKENS_PER_PARAMETER * sizes.parameters
    for setting in settings:
        found = step(sizes, setting, arguments.mfu)
        batch = setting.gpus * setting.tokens * setting.accumulated
        hours = tokens / batch * found["seconds"] / 3600
        dollars = hours * setting.gpus * arguments.dollars
        rows.append(
            [f"{setting.gpus:,}", setting.way, f"{batch / 1e6:.2f} M",
             f"{found['state'] / 1e9:.2f} GB", f"{found['memory'] / 1e9:.0f} GB",
             f"{found['sent'] / 1e9:.1f} GB", f"{1000 * found['seconds']:.0f} ms",
             f"{found['efficiency']:.0%}", f"{found['efficiency_muon']:.0%}",
             f"{hours:.2f} h", f"{dollars:,.0f}"],
        )  # fmt: skip
        figures.append({"gpus": setting.gpus, "way": setting.way, "batch": batch, **found})
    print(
        f"{sizes.parameters / 1e9:.2f} billion parameters, {sizes.flops / 1e9:.1f} GFLOP a token, "
        f"{tokens / 1e9:.0f} billion tokens; one GPU alone: {arguments.mfu:.0%} of {PEAK / 1e12:.0f} "
        "TFLOP/s\n"
    )
    rows.insert(1, ["---", "---", *["---:" for _ in rows[0][2:]]])
    print("\n".join(f"| {' | '.join(row)} |" for row in rows))
    predicted = published_ratio(arguments.mfu)
    print(
        f"\nA Llama of 8B on 128 GPUs over 8, tokens a second of a GPU: {predicted:.3f} by this, "
        f"{PUBLISHED:.3f} published."
    )
    print(json.dumps({"settings": figures, "ratio_8b": predicted}))


def published_ratio(mfu: float) -> float:
    """What is calculated for the published result."""
    sizes = Sizes.of(EIGHT_B, 128_256)
    few, many = (step(sizes, Setting(n, "fsdp", 16_384), mfu) for n in (8, 128))
    return few["seconds"] / many["seconds"]


if __name__ == "__main__":
    main()
