"""Memory of training: counted, estimated, and refused where it is not there."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest
import torch

from hornbook.config import DataConfig, RunConfig, TokenizerConfig
from hornbook.data.training_data import load_training_data
from hornbook.errors import ConfigError
from hornbook.metrics.counts import SEARCH_BYTES, search_counts
from hornbook.models.registry import build_on_meta, model_config, parse_run_config
from hornbook.optim import build_optimizer
from hornbook.planning.decide.memory import (
    MemoryEstimate,
    available_bytes,
    check_memory,
    check_weights_fit,
    checkpointing,
    estimate_memory,
    memory_of_counts,
    micro_batch,
    model_bytes,
    report_bytes,
    scoring_bytes,
    weights_bytes,
)
from hornbook.planning.tuning import BACKWARD_OVERHEAD
from tests.conftest import tiny_model

MB = 1_000_000
OFFER = "--tokenizer byte (256 tokens in place of 20,000)"


def settings(model: str = "gpt", *, optimizer: str = "adamw", ema_decay: float = 0.0) -> RunConfig:
    return parse_run_config(
        {
            "model": {"name": model},
            "optim": {"name": optimizer},
            "training": {"ema_decay": ema_decay},
        }
    )


@pytest.mark.parametrize("name", ["adamw", "muon", "sgd"])
def test_the_count_covers_weights_gradients_and_optimizer_state(name: str) -> None:
    config = settings(optimizer=name)
    model = tiny_model("gpt").train()
    optimizer = build_optimizer(model, config.optim, model.output)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    for group in optimizer.param_groups:
        group["lr"] = 1e-3
    optimizer.step()
    states = optimizer.state_dict()["state"].values()
    held = sum(x.nbytes for s in states for x in s.values() if isinstance(x, torch.Tensor))
    held += sum(2 * p.nbytes for p in model.parameters())
    assert held <= weights_bytes(model, config) < 3 * held
    averaged = weights_bytes(model, settings(optimizer=name, ema_decay=0.9))
    assert averaged - weights_bytes(model, config) == 2 * 4 * model.n_parameters


def test_activations_grow_with_the_batch() -> None:
    found = estimate_memory(100, (30, 40), batch_size=5, scoring=7)
    assert (found.weights, found.activations, found.scoring) == (100, 60, 7)
    assert estimate_memory(0, (30, 30), 100, 0).activations == 30


@pytest.mark.parametrize("name", ["gpt", "ngram", "mlp"])
def test_logits_are_bounded_however_large_the_vocabulary_is(name: str) -> None:
    def scoring(vocab_size: int) -> int:
        return scoring_bytes(build_on_meta(model_config({"name": name}), vocab_size, None), 10**6)

    assert scoring(200) == 2 * scoring(100)  # while they are few
    assert 0.8 * scoring(1000) < scoring(60_000) <= scoring(1000)
    # one row is computed at once, whatever it takes
    assert scoring(1 << 20) >= 16 * (1 << 20) * 64


def test_counts_have_an_estimate_too_and_are_refused_where_they_do_not_fit() -> None:
    model = build_on_meta(model_config({"name": "ngram", "order": 4}), 20_000, None)
    scoring = scoring_bytes(model, 10**5)
    found, decision = memory_of_counts(model, 10**6, scoring, 10_000 * MB, OFFER)
    assert found.weights == model.fit_bytes(10**6) == 4 * model.fit_bytes(250_000)
    assert found.scoring == scoring
    assert decision.value.startswith("about")
    with pytest.raises(ConfigError, match=r"counting needs at least .*; train with --tokenizer"):
        memory_of_counts(model, 10**6, scoring, 100 * MB, OFFER)
    with pytest.raises(ConfigError, match=r"lower --model\.order"):
        memory_of_counts(model, 10**6, scoring, 100 * MB, "")


def test_the_search_for_the_best_counts_is_part_of_the_report(words_file: Path) -> None:
    data = load_training_data(DataConfig(corpus=str(words_file)), TokenizerConfig())
    model = build_on_meta(model_config({"name": "ngram", "order": 2}), 12, None)
    n = data.train.n_targets
    assert report_bytes(model, data, scored=1) == SEARCH_BYTES * n
    assert report_bytes(model, data, scored=10**6) == scoring_bytes(model, 10**6)
    tracemalloc.start()
    search_counts(data.train, data.validation, data.tokenizer)
    fixed = 100_000  # of arrays that do not grow with the text
    assert tracemalloc.get_traced_memory()[1] < SEARCH_BYTES * n + fixed
    tracemalloc.stop()


def test_a_model_whose_weights_do_not_fit_is_refused_before_it_is_built() -> None:
    config = model_config({"name": "gpt", "n_embd": 65536, "n_hidden": 1 << 20, "n_layer": 400})
    huge = build_on_meta(config, 30, 0)
    with pytest.raises(ConfigError, match=r"memory: weights.* need .*TB.*make the model smaller"):
        check_weights_fit(huge, settings(), 64_000 * MB)
    check_weights_fit(huge, settings(), None)
    check_weights_fit(tiny_model("gpt"), settings(), 64_000 * MB)
    table = build_on_meta(model_config({"name": "bigram"}), 20_000, None)
    assert model_bytes(table) == 4 * 20_000**2
    with pytest.raises(ConfigError, match=r"or train with --tokenizer byte"):
        check_weights_fit(table, settings("bigram"), 2_000 * MB, OFFER)


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
        (needed(2, 1, 60), 12, f"train with {OFFER}"),
        (needed(11, 1), 12, f"or train with {OFFER}"),
    ],
)
def test_memory_that_is_not_there_is_refused(
    estimate: MemoryEstimate, batch_size: int, advice: str
) -> None:
    with pytest.raises(ConfigError, match="memory: training needs at least") as found:
        check_memory(estimate, 10 * MB, batch_size=batch_size, model="gpt", offer=OFFER)
    assert advice in str(found.value)
    assert "found 10.0 MB available" in str(found.value)


def test_the_peak_is_estimated_with_what_the_backward_pass_takes() -> None:
    assert needed(2, 4, 3).total == round((2 + BACKWARD_OVERHEAD * 4 + 3) * MB)
    assert needed(2, 4, 30).least == 32 * MB


def test_memory_is_spent_only_where_there_is_several_times_as_much() -> None:
    assert needed(10).is_small(None)
    assert needed(10).is_small(100 * MB)
    assert not needed(10).is_small(20 * MB)


def test_a_model_whose_copies_do_not_fit_is_not_tried() -> None:
    assert needed(10, 50).can_be_tried(None)
    assert needed(10, 50).can_be_tried(30 * MB)  # trials are of few rows
    assert not needed(10).can_be_tried(29 * MB)


def test_available_bytes_are_known_on_a_cpu() -> None:
    found = available_bytes(torch.device("cpu"))
    assert found is None or found > 0


def test_a_batch_that_does_not_fit_is_computed_in_equal_parts() -> None:
    def of(rows: int) -> MemoryEstimate:
        return MemoryEstimate(weights=10, activations=rows, scoring=0)

    overhead = round(BACKWARD_OVERHEAD)
    assert micro_batch(of, 8, None).value is None
    assert micro_batch(of, 8, 10 + 8 * overhead).value is None
    assert micro_batch(of, 8, 9 + 8 * overhead).value == 4  # twice four, not seven and one
    assert micro_batch(of, 8, 10 + 3 * overhead).value == 3
    assert micro_batch(of, 8, 10 + overhead).value == 1
    assert micro_batch(of, 8, 10).value is None  # the check refuses it
    assert "found 16 B available" in micro_batch(of, 8, 16).reason
    whole = micro_batch(of, 8, 11, whole="batchnorm measures the whole batch")
    assert (whole.value, whole.reason) == (None, "batchnorm measures the whole batch")


def test_activations_are_computed_again_where_not_even_one_row_fits() -> None:
    def needed(rows: int) -> MemoryEstimate:
        return MemoryEstimate(weights=100, activations=100 * rows, scoring=0)

    assert checkpointing(needed, 300, 1, blocks=2).value == "no"
    assert checkpointing(needed, None, 1, blocks=2).value == "no"
    found = checkpointing(needed, 299, 1, blocks=2)
    assert found.value == "yes"
    assert "1 row would need" in found.reason
    assert checkpointing(needed, 299, 1, blocks=0).value == "no"


def test_sharded_weights_need_their_share_and_whole_weights_to_evaluate() -> None:
    config, model = settings(), tiny_model("gpt")
    whole, own = weights_bytes(model, config), model_bytes(model)
    assert weights_bytes(model, config, 4) == own + whole // 4
