"""Weights sharded by FSDP2, over real processes with Gloo: the same losses as of one process."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from hornbook.config import Nested, merge
from hornbook.data.batches import Draw, build_batches
from hornbook.data.part import Part
from hornbook.engine.step import OptimizerStep
from hornbook.errors import ConfigError
from hornbook.kernels.install import install
from hornbook.models.registry import MODELS, parse_run_config
from hornbook.parallel.ranks import SINGLE, Ranks, joined
from hornbook.parallel.replicated import has_batchnorm
from hornbook.parallel.sharded import make_mesh
from hornbook.parallel.shards import full
from hornbook.tokenizers import build_tokenizer
from tests.conftest import TINY, WORDS, tiny_model
from tests.parallel.helpers import on_ranks
from tests.parallel.work import compiled_losses, losses_of

TRAINED = [name for name, entry in MODELS.items() if entry.trained and not entry.model.fitted]
STEPS = 20
SETTINGS: Nested = {
    "optim": {"learning_rate": 0.01, "warmup": 2, "grad_clip": 0.5, "weight_decay": 0.1},
    "training": {"steps": STEPS, "batch_size": 10, "ema_decay": 0.9},
}


def step_of(name: str, settings: Nested, ranks: Ranks = SINGLE) -> OptimizerStep:
    """The step of a tiny model on a few words, in batches of 10 rows that 4 ranks share unevenly."""
    config = parse_run_config(merge({"model": {"name": name}}, SETTINGS, settings))
    tokenizer = build_tokenizer("char", "\n".join(WORDS), documents=True)
    part = Part.of_documents(WORDS * 9, tokenizer)
    model = tiny_model(name, tokenizer.vocab_size, tokenizer.end_id).train()
    install(model)
    draw = Draw(batch_size=10, seed=7, rank=ranks.rank, world_size=ranks.world_size)
    batches = build_batches(part, model.examples, model.context_length, draw)
    return OptimizerStep(model, batches, config, ranks=ranks, parallel="fsdp")


CASES: dict[str, tuple[str, Nested]] = {name: (name, {}) for name in TRAINED}
CASES |= {
    "muon": ("gpt", {"optim": {"name": "muon", "muon_learning_rate": 0.02}}),
    "sgd": ("mlp", {"optim": {"name": "sgd", "learning_rate": 0.1, "grad_clip": 0.0, "l2": 0.05}}),
    "micro-batches": ("gpt2", {"training": {"micro_batch": 2}}),
    "replicas": ("gpt", {"optim": {"name": "muon"}, "training": {"replicas": 2}}),
}


def trained(case: str, ranks: Ranks = SINGLE) -> dict[str, Any]:
    """Losses and gradient norms of 20 steps, and logits by the averaged weights that they end with, in
    inference mode."""
    name, settings = CASES[case]
    step = step_of(name, settings, ranks)
    figures = [[float(figure) for figure in step(i)] for i in range(STEPS)]
    with step.ema_weights() as model, torch.inference_mode():
        logits = model.eval()(torch.arange(6)[None] % model.vocab_size)
    # what BatchNorm cancels moves at random: Adam makes steps of rounding errors
    comparable = not has_batchnorm(step.model)
    return {"figures": figures, "logits": logits.flatten().tolist() if comparable else []}


def all_cases() -> dict[str, dict[str, Any]]:
    with joined("cpu") as ranks:
        return {case: trained(case, ranks) for case in CASES}


@pytest.fixture(scope="module")
def expected() -> dict[str, dict[str, Any]]:
    return {case: trained(case) for case in CASES}


@pytest.mark.parametrize("world", [2, 4])
def test_twenty_steps_of_every_model_are_those_of_one_process(
    world: int, expected: dict[str, dict[str, Any]]
) -> None:
    for found in on_ranks(world, all_cases):
        for case in CASES:
            for key, tolerance in (("figures", 1e-5), ("logits", 1e-3)):
                torch.testing.assert_close(
                    torch.tensor(found[case][key]), torch.tensor(expected[case][key]),
                    rtol=tolerance, atol=tolerance, msg=lambda m, c=case, k=key: f"{c} {k}: {m}",
                )  # fmt: skip


def gradients_over_ranks() -> list[float]:
    """The gradient of the mean of (rank + 1) * w over ranks, by FSDP2 itself: 1.5 for two of them."""
    with joined("cpu") as ranks:
        model = nn.Linear(1, 4, bias=False)
        fully_shard(model, mesh=init_device_mesh("cpu", (ranks.world_size,)))
        model(torch.full((1, 1), ranks.rank + 1.0)).sum().backward()
        gradient: list[float] = full(model.weight.grad).flatten().tolist()
        return gradient


def test_torch_averages_gradients_and_does_not_sum_them() -> None:
    """With Gloo it once summed them (pytorch#162338); `Sharded.finish` counts on the average."""
    for gradient in on_ranks(2, gradients_over_ranks):
        assert gradient == [1.5] * 4


def test_replicas_divide_the_ranks() -> None:
    with pytest.raises(ConfigError, match="found 3 for 4 ranks, expected a divisor"):
        make_mesh(4, 3, torch.device("cpu"))


def test_blocks_are_compiled_where_they_are_trained_alone() -> None:
    plain = losses_of(["gpt"], {})["gpt"][0][:3]
    for losses, compiled, evaluated in on_ranks(2, compiled_losses, {}):
        assert losses == pytest.approx(plain, rel=1e-5)
        assert compiled == evaluated == TINY["n_layer"]
