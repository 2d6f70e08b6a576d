"""Memory of training: counted, estimated, and refused where it is not there."""

from __future__ import annotations

import pytest
import torch

from hornbook.config import OptimConfig
from hornbook.errors import ConfigError
from hornbook.models.registry import build_on_meta, model_config
from hornbook.optim import build_optimizer
from hornbook.planning.decide.memory import (
    MemoryEstimate,
    available_bytes,
    check_memory,
    check_weights_fit,
    estimate_memory,
    weights_bytes,
)
from hornbook.planning.tuning import BACKWARD_OVERHEAD
from tests.conftest import tiny_model

MB = 1_000_000


@pytest.mark.parametrize("name", ["adamw", "muon", "sgd"])
def test_the_count_covers_weights_gradients_and_optimizer_state(name: str) -> None:
    config = OptimConfig.parse({"name": name}, "optim")
    model = tiny_model("gpt").train()
    optimizer = build_optimizer(model, config, model.output)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    for group in optimizer.param_groups:
        group["lr"] = 1e-3
    optimizer.step()
    states = optimizer.state_dict()["state"].values()
    held = sum(x.nbytes for s in states for x in s.values() if isinstance(x, torch.Tensor))
    held += sum(2 * p.nbytes for p in model.parameters())
    assert held <= weights_bytes(model, config) < 3 * held


def test_activations_grow_with_the_batch() -> None:
    found = estimate_memory(100, (30, 40), batch_size=5, vocab_size=10)
    assert found.activations == 60
    assert found.weights == 100
    assert estimate_memory(0, (30, 30), 100, 10).activations == 30
    more = estimate_memory(0, (0, 0), 1, 20).scoring
    assert more == 2 * found.scoring > 0  # it grows with the vocabulary, not with the batch


def test_a_model_whose_weights_do_not_fit_is_refused_before_it_is_built() -> None:
    config = model_config({"name": "gpt", "n_embd": 65536, "n_hidden": 1 << 20, "n_layer": 400})
    huge, optim = build_on_meta(config, 30, 0), OptimConfig()
    with pytest.raises(ConfigError, match=r"memory: weights.* need .*TB.*make the model smaller"):
        check_weights_fit(huge, "gpt", optim, 64_000 * MB)
    check_weights_fit(huge, "gpt", optim, None)
    check_weights_fit(tiny_model("gpt"), "gpt", optim, 64_000 * MB)


def needed(weights: int = 0, activations: int = 0, scoring: int = 0) -> MemoryEstimate:
    return MemoryEstimate(weights=weights * MB, activations=activations * MB, scoring=scoring * MB)


def test_memory_that_is_there_is_only_described() -> None:
    words = check_memory(needed(2, 4), 20 * MB, batch_size=8, model="gpt")
    assert words == "about 10.0 MB of 20.0 MB available"
    assert check_memory(needed(2, 4), None, batch_size=8, model="gpt") == "about 10.0 MB"


def test_memory_that_may_run_out_comes_with_a_batch_that_fits() -> None:
    estimate, available = needed(2, 6), 10 * MB
    words = check_memory(estimate, available, batch_size=12, model="gpt")
    assert "it may run out; to be safe, lower the batch: --training.batch-size 8 (now 12)" in words
    fitting = MemoryEstimate(estimate.weights, round(estimate.activations * 8 / 12), 0)
    assert fitting.total <= available


@pytest.mark.parametrize(
    ("estimate", "batch_size", "advice"),
    [
        (needed(2, 40), 12, "--training.batch-size 1 (now 12)"),
        (needed(2, 60), 1, "--model.context-length or the sizes of the model"),
        (needed(11, 1), 12, "--model.context-length or the sizes of the model"),
        (needed(2, 1, 60), 12, "a tokenizer with fewer tokens"),
    ],
)
def test_memory_that_is_not_there_is_refused(
    estimate: MemoryEstimate, batch_size: int, advice: str
) -> None:
    with pytest.raises(ConfigError, match="memory: training needs at least") as found:
        check_memory(estimate, 10 * MB, batch_size=batch_size, model="gpt")
    assert advice in str(found.value)
    assert "found 10.0 MB available" in str(found.value)


def test_the_peak_is_estimated_with_what_the_backward_pass_takes() -> None:
    assert needed(2, 4, 3).total == round((2 + BACKWARD_OVERHEAD * 4) * MB)
    assert needed(2, 4, 30).total == needed(2, 4, 30).least == 32 * MB


def test_available_bytes_are_known_on_a_cpu() -> None:
    found = available_bytes(torch.device("cpu"))
    assert found is None or found > 0
